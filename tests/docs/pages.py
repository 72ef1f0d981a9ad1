"""The documents as data: their text, what they link to, the files they name, the commands they show."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Files a document may name: with a folder and an ending, as `apiserver/writing/rest.py`; NAME and <name> stand for any.
_NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|txt|json|yaml|yml|md|sh))`(?: `([A-Za-z_]\w*)`)?")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_ROOMS = (
    "apiserver",
    "scheduler",
    "controllers",
    "kubelet",
    "kubeproxy",
    "wherry",
    "tests",
    "docs",
    "examples",
    "bench",
)


def pages() -> list[Path]:
    """Every tracked or new markdown file of the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(path for name in names.split("\0") if name and (path := ROOT / name).is_file())


def named_files(text: str) -> list[tuple[str, str]]:
    """(file, name within it or empty) for each file of ours that a text names."""
    found = _NAMED.findall(text)
    return [(file, name) for file, name in found if file.split("/")[0] in (*_ROOMS, "scripts")]


def links(text: str) -> list[str]:
    """Where a text links to inside the repository."""
    return [target for target in _LINK.findall(text) if not target.startswith(("http:", "https:", "mailto:"))]


def fences(text: str, *languages: str) -> list[str]:
    """The fenced blocks of some languages."""
    return [body for _, language, body in _FENCE.findall(text) if language in languages]


def anchors(text: str) -> set[str]:
    """What a link may name after `#`: GitHub's names of the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
