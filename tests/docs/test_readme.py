"""What the README and the pages for beginners show can be typed: targets, options, files, modules, a test."""

import re
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner
from pages import ROOT, fences

from wherry.cli import main

TEXT = (ROOT / "README.md").read_text()
SHOWN = [TEXT, *((ROOT / page).read_text() for page in ("examples/README.md", "docs/labs/README.md"))]
MAKEFILE = ROOT / "Makefile"


def commands(program: str) -> list[list[str]]:
    """Every command line of a program in the shell blocks, as words without comments."""
    blocks = [block for text in SHOWN for block in fences(text, "sh", "console")]
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if line and line[0] == program]


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE.read_text(), re.MULTILINE))
    shown = {words[1] for words in commands("make")}

    assert {"up", "down", "test", "check"} <= shown <= targets


@pytest.mark.parametrize("words", commands("wherry"), ids=" ".join)
def test_every_wherry_command_is_understood(words):
    described = CliRunner().invoke(main, [words[1], "--help"]).output
    options = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}

    assert described.startswith("Usage:")
    assert {option for option in options if option not in described} == set(), described


@pytest.mark.parametrize("words", commands("python"), ids=" ".join)
def test_every_module_starts(words):
    described = run(sys.executable, *words[1:3], "--help")
    options = {word for word in words[3:] if word.startswith("--")}

    assert {option for option in options if option not in described} == set(), described


def test_every_file_that_a_command_names_exists():
    words = [word for program in ("kubectl", "wherry", "make") for line in commands(program) for word in line]
    files = {word for word in words if re.fullmatch(r"[\w-]+(/[\w.-]+)*\.(ya?ml|py|json)", word)}

    assert files >= {"examples/web.yaml"}
    assert {file for file in files if not (ROOT / file).is_file()} == set()


def test_the_integration_test_passes(tmp_path):
    (block,) = fences(TEXT, "python")
    (tmp_path / "test_shown.py").write_text(block)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")

    assert "1 passed" in run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path))
