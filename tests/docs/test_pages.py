"""The documents name files, functions and pages that exist."""

import re

from pages import ROOT, anchors, fences, links, named_files, pages


def is_defined(name: str, text: str) -> bool:
    return re.search(rf"^\s*(?:async def|def|class) {name}\b|^{name}\b[^=\n]*=", text, re.MULTILINE) is not None


def test_every_file_that_a_document_names_exists():
    named = [(page, file) for page in pages() for file, _ in named_files(page.read_text())]
    missing = sorted({f"{page.relative_to(ROOT)}: {file}" for page, file in named if not (ROOT / file).is_file()})

    assert missing == []


def test_every_function_that_a_document_names_stands_in_its_file():
    named = [(page, *pair) for page in pages() for pair in named_files(page.read_text()) if pair[1]]
    missing = [
        f"{page.relative_to(ROOT)}: {file} {name}"
        for page, file, name in named
        if (ROOT / file).is_file() and not is_defined(name, (ROOT / file).read_text())
    ]

    assert missing == []


def test_every_link_leads_somewhere():
    broken = []
    for page in pages():
        for link in links(page.read_text()):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
                broken.append(f"{page.relative_to(ROOT)}: {link}")

    assert broken == []


def test_every_decision_is_listed_dated_and_accepted_or_superseded():
    folder = ROOT / "docs/adr"
    listed = links((folder / "README.md").read_text())
    decisions = [page for page in sorted(folder.glob("*.md")) if page.name != "README.md"]
    numbered = [page for page in decisions if page.name[0].isdigit()]

    assert [page.name for page in decisions if page.name not in listed] == []
    status = re.compile(r"^\*\d{4}-\d\d-\d\d, (accepted|superseded.*)\*$", re.MULTILINE)
    assert [page.name for page in numbered if not status.search(page.read_text())] == []
    assert [page.name for page in numbered if not fences(page.read_text(), "python", "console", "sh")] == []


def test_every_checklist_has_five_lines_and_is_listed():
    folder = ROOT / "docs/checklists"
    lists = [page for page in sorted(folder.glob("*.md")) if page.name != "README.md"]
    lines = {page.name: len(re.findall(r"^\d\. ", page.read_text(), re.MULTILINE)) for page in lists}

    assert lines == {page.name: 5 for page in lists}
    assert {page.name for page in lists} <= set(links((folder / "README.md").read_text()))


def test_the_life_of_a_deployment_has_twelve_hops_each_with_a_file():
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    hops = re.findall(r"^\*\*(\d+)\. .*?(?=^\*\*\d|^#|\Z)", text, re.MULTILINE | re.DOTALL)
    bodies = re.split(r"^\*\*\d+\. ", text.split("## Layers")[0], flags=re.MULTILINE)[1:]

    assert hops == [str(number) for number in range(1, 13)]
    assert all(named_files(body) for body in bodies)
