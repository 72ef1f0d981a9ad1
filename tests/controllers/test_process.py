"""`python -m controllers` as a command."""

import pytest
import structlog
from click.testing import CliRunner

from controllers.__main__ import main


@pytest.fixture(autouse=True)
def _logs_as_before():
    yield
    structlog.reset_defaults()


def run(*arguments):
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def kubeconfig(tmp_path):
    path = tmp_path / "kubeconfig"
    cluster = "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]"
    path.write_text(f"{cluster}\ncontexts: [{{name: c, context: {{cluster: c}}}}]\ncurrent-context: c\n")
    return path


def test_help_names_every_option():
    text = run("--help").output

    for option in ("--kubeconfig", "--root-ca", "--leader-elect", "--node-monitor-grace-seconds"):
        assert option in text


def test_a_kubeconfig_that_is_none_is_refused_with_its_name(tmp_path):
    (tmp_path / "empty").write_text("[]")

    result = run("--kubeconfig", str(tmp_path / "empty"))

    assert result.exit_code == 1
    assert "empty" in result.output


def test_a_root_certificate_that_is_none_is_refused(tmp_path, kubeconfig):
    (tmp_path / "ca").write_text("nothing")

    result = run("--kubeconfig", str(kubeconfig), "--root-ca", str(tmp_path / "ca"))

    assert result.exit_code == 1
    assert result.output.endswith("ca: a certificate in PEM is expected, found none\n")


def test_a_grace_of_no_time_is_refused(kubeconfig):
    result = run("--kubeconfig", str(kubeconfig), "--node-monitor-grace-seconds", "0")

    assert result.exit_code == 2
    assert "0.0 is not in the range x>=1" in result.output
