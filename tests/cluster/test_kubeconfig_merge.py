"""Our context in a person's kubeconfig: merged in, taken out again, and nothing of theirs is touched."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.cluster.layout import Layout
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import Settings
from wherry.cluster.trust import kubeconfig
from wherry.cluster.trust.credentials import make_credentials
from wherry.cluster.trust.kubeconfig import merge_context, remove_context

URL = "https://127.0.0.1:6443"
THEIRS = {
    "apiVersion": "v1",
    "kind": "Config",
    "preferences": {"colors": True},
    "clusters": [{"name": "work", "cluster": {"server": "https://work"}}],
    "users": [{"name": "me", "user": {"token": "t"}}],
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me"}}],
    "current-context": "work",
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout("wherry", tmp_path / "data")
    layout.make()
    make_credentials(layout, Settings(port=6443))
    return layout


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".kube" / "config"


def write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def test_a_file_is_made_and_goes_again(layout: Layout, file: Path) -> None:
    before = merge_context(layout, file, URL)
    assert yaml.safe_load(file.read_text())["current-context"] == "wherry"
    assert file.stat().st_mode & 0o777 == 0o600

    remove_context(layout, file, before)
    assert not file.parent.exists()


def test_no_entry_is_written_as_a_reference_to_another(layout: Layout, file: Path) -> None:
    merge_context(layout, file, "https://127.0.0.1:6443")

    assert [mark for mark in ("&id", "*id") if mark in file.read_text()] == []


def test_what_was_there_is_there_again_afterwards(layout: Layout, file: Path) -> None:
    write(file, THEIRS)

    before = merge_context(layout, file, URL)
    merge_context(layout, file, "https://127.0.0.1:7777")
    merged = yaml.safe_load(file.read_text())
    assert [context["name"] for context in merged["contexts"]] == ["work", "wherry"]

    remove_context(layout, file, before)
    assert yaml.safe_load(file.read_text()) == THEIRS


def test_a_context_chosen_meanwhile_stays_chosen(layout: Layout, file: Path) -> None:
    write(file, THEIRS | {"current-context": ""})
    merge_context(layout, file, URL)
    file.write_text(file.read_text().replace("current-context: wherry", "current-context: work"))

    remove_context(layout, file, "")

    assert yaml.safe_load(file.read_text())["current-context"] == "work"


@pytest.mark.parametrize("section", ["clusters", "users", "contexts"])
def test_somebody_elses_entry_of_our_name_is_left_alone(layout: Layout, file: Path, section: str) -> None:
    body = {"clusters": "cluster", "users": "user", "contexts": "context"}[section]
    foreign = THEIRS | {section: [*THEIRS[section], {"name": "wherry", body: {}}]}  # type: ignore[misc]
    write(file, foreign)

    with pytest.raises(ClusterProblem, match=f"the {body} 'wherry' was not made by wherry"):
        merge_context(layout, file, URL)
    remove_context(layout, file, "")

    assert yaml.safe_load(file.read_text()) == foreign


def test_a_link_keeps_pointing_to_its_file(layout: Layout, file: Path, tmp_path: Path) -> None:
    write(file, THEIRS)
    link = tmp_path / "link"
    link.symlink_to(file)

    merge_context(layout, link, URL)

    assert link.is_symlink()
    assert "wherry" in file.read_text()


def test_nobody_writes_while_kubectl_does(layout: Layout, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeconfig, "_LOCK_SECONDS", 0.0)
    write(file, THEIRS)
    file.with_name("config.lock").touch()

    with pytest.raises(ClusterProblem, match=r"config\.lock is held by another program"):
        merge_context(layout, file, URL)

    assert yaml.safe_load(file.read_text()) == THEIRS


@pytest.mark.parametrize("content", ["- a list", "clusters: {}", "{", "users: [1]"])
def test_what_is_no_kubeconfig_is_refused_whole(layout: Layout, file: Path, content: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(content)

    with pytest.raises(ClusterProblem, match="kubeconfig"):
        merge_context(layout, file, URL)

    assert file.read_text() == content
