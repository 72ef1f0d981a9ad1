"""What stands in the logs, and what never does."""

import pytest
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback

from wherry.client.logs import log_to_stdout


@pytest.fixture(autouse=True)
def _logs_as_before():
    yield
    structlog.reset_defaults()


def all_variables(_stream, error):
    raise AssertionError("what rich would print, were it installed") from error[1]


def test_a_traceback_shows_no_variables_whatever_else_is_installed(monkeypatch, capsys):
    found = tuple(all_variables if each is plain_traceback else each for each in ConsoleRenderer.__init__.__defaults__)
    monkeypatch.setattr(ConsoleRenderer.__init__, "__defaults__", found)
    log_to_stdout()

    try:
        int("x")
    except ValueError:
        structlog.get_logger().exception("failed")

    assert "ValueError: invalid literal" in capsys.readouterr().out
