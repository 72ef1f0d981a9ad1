"""What the lab about policies tells people to write works, and changes what it says."""

from click.testing import CliRunner
from pages import ROOT, fences

from wherry.cli import main

PAGE = (ROOT / "docs/labs/scheduling.md").read_text()


def test_the_lab_shows_what_its_plugin_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (block,) = fences(PAGE, "python")
    (shown,) = fences(PAGE, "console")
    (tmp_path / "room_for_gpus.py").write_text(block)
    command, _, table = shown.partition("\n")

    words = command.replace("--plugins plugins", f"--plugins {tmp_path}").split()[2:]

    assert CliRunner().invoke(main, words).output.rstrip() == table.rstrip()


def test_the_first_command_of_the_lab_draws_a_day(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (command,) = fences(PAGE, "sh")
    day = tmp_path / "day.svg"

    result = CliRunner().invoke(main, command.replace("day.svg", str(day)).split()[1:])

    assert result.exit_code == 0
    assert day.read_text().count("<polyline") == 8
