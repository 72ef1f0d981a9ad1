"""Names: Kubernetes' words where it has them, and none that say nothing."""

import re
import subprocess
from collections import Counter

from source import ROOT, classes, modules

TEXTS = (".py", ".md", ".yml", ".yaml", ".toml", ".txt", ".sh", "")
# Paths of one machine.
ELSEWHERE = r"/work/(main|shared|\.library)|\.\./shared|/root/\.pyenv"

# Kubernetes' own terms.
TERMS = ("UserInfo",)
BANNED = ("util", "utils", "helper", "helpers", "common", "manager", "handler", "info", "misc")


def words_of(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name.replace("_", " "))]


def test_no_file_or_class_has_a_name_that_says_nothing():
    named = [(module.place, module.path.stem) for module in modules()]
    named += [(f"{module.place} {node.name}", node.name) for module in modules() for node in classes(module)]
    empty = [place for place, name in named if name not in TERMS and set(words_of(name)) & set(BANNED)]

    assert empty == []


def test_nothing_is_swallowed_by_a_bare_except_and_input_is_not_asserted():
    import ast

    careless = [
        f"{module.place}:{node.lineno}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assert) or (isinstance(node, ast.ExceptHandler) and node.type is None)
    ]

    assert careless == []


def test_the_repository_speaks_of_the_project_alone():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in tracked.split("\0") if name]
    texts = [path for path in paths if path.suffix in TEXTS and path.is_file() and path.name != "test_vocabulary.py"]
    elsewhere = [str(path) for path in texts if re.search(ELSEWHERE, path.read_text(errors="replace"))]

    assert elsewhere == []


def test_no_two_test_files_share_a_name():
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))

    assert [name for name, count in names.items() if count > 1] == []
