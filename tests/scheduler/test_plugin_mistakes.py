"""Whoever writes a plugin is told which of theirs broke, and where."""

import pytest
from click.testing import CliRunner

from scheduler.__main__ import main
from scheduler.framework import Plugin, PluginFileError, culprit, load_plugins


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [("x = 1\ndef f(:\n", 2, "SyntaxError: invalid syntax"), ("\n\n1 / 0\n", 3, "ZeroDivisionError: division by zero")],
)
def test_a_file_that_cannot_be_loaded_is_named_with_its_line(tmp_path, text, line, why):
    file = tmp_path / "mine.py"
    file.write_text(text)

    with pytest.raises(PluginFileError) as problem:
        load_plugins(tmp_path)
    shown = CliRunner().invoke(main, ["--plugins", str(tmp_path), "--kubeconfig", str(file)]).output

    assert str(problem.value) == f"{file}:{line}: {why}"
    assert shown == f"Error: {file}:{line}: {why}\n"


def test_the_plugin_that_raises_is_named():
    def broken(self):
        return self.nothing

    fragile = Plugin.__new__(Plugin)
    fragile.name = "Fragile"
    with pytest.raises(AttributeError) as problem:
        broken(fragile)
    with pytest.raises(ZeroDivisionError) as nobodys:
        1 / 0  # noqa: B018

    assert culprit(problem.value) == "plugin Fragile"
    assert culprit(nobodys.value) == "the scheduler's plugins"
