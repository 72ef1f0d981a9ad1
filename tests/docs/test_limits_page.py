"""What docstrings accept as a limit stands in docs/limits.md, and what stands there has a file."""

import ast
import re

from pages import ROOT, named_files

PAGE = ROOT / "docs/limits.md"
ROOMS = ("apiserver", "scheduler", "controllers", "kubelet", "kubeproxy", "wherry")
LIMIT = re.compile(r"\b(Differs|Limits?)(:| from )|not served yet|is not served\b")


def states_a_limit(text: str) -> bool:
    return LIMIT.search(ast.get_docstring(ast.parse(text)) or "") is not None


def test_every_module_that_states_a_limit_is_on_the_page():
    listed = {file for file, _ in named_files(PAGE.read_text())}
    modules = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    stating = {str(path.relative_to(ROOT)) for path in modules if states_a_limit(path.read_text())}

    assert sorted(stating - listed) == [], "add a line to docs/limits.md"
