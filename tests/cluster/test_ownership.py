"""A data folder belongs to one cluster, or to somebody else, whose files are never touched."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wherry.cli.main import main
from wherry.cluster.layout import Layout
from wherry.cluster.settings import Settings
from wherry.cluster.trust.credentials import make_credentials


def wherry(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def a_cluster(folder: Path, name: str = "stranger") -> Layout:
    layout = Layout(name, folder)
    layout.make()
    Settings(port=6443, kubeconfig=str(folder.parent / "kubeconfig")).save(layout)
    return layout


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("verb", [("up", "--no-node"), ("down",), ("down", "--purge")])
def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, verb: tuple[str, ...]) -> None:
    for folder in ("run", "pki", "photos"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine").touch()
    before = files_in(tmp_path)

    result = wherry(*verb, "--name", "zz", "--data-dir", tmp_path)

    assert (result.exit_code, files_in(tmp_path)) == (1, before)
    assert f"no cluster in {tmp_path}" in result.output


@pytest.mark.parametrize("files", [[], ["encryption.yaml"]])
def test_down_where_no_cluster_is_yet_removes_nothing_and_is_no_error(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        (tmp_path / name).touch()

    result = wherry("down", "--purge", "--name", "zz", "--data-dir", tmp_path)

    assert (result.exit_code, files_in(tmp_path)) == (0, files)
    assert result.output == f"there is no cluster zz in {tmp_path}\n"


def test_what_an_interrupted_up_made_can_be_purged(tmp_path: Path) -> None:
    Layout("zz", tmp_path / "data").make()

    result = wherry("down", "--purge", "--name", "zz", "--data-dir", tmp_path / "data")

    assert (result.exit_code, files_in(tmp_path)) == (0, [])


@pytest.mark.parametrize("verb", ["up", "down", "status", "timeline pod/web", "why pod/web"])
def test_a_folder_answers_to_the_name_of_its_cluster_only(tmp_path: Path, verb: str) -> None:
    a_cluster(tmp_path / "data")
    before = files_in(tmp_path)

    result = wherry(*verb.split(), "--name", "other", "--data-dir", tmp_path / "data")

    assert (result.exit_code, files_in(tmp_path)) == (1, before)
    assert "data belongs to cluster stranger, not to other: say --name stranger" in result.output


def test_a_folder_from_before_names_were_kept_is_known_by_its_kubeconfig(tmp_path: Path) -> None:
    layout = a_cluster(tmp_path / "data")
    make_credentials(layout, Settings(port=6443))
    layout.settings_file.write_text('{"port": 6443}')

    assert "belongs to cluster stranger" in wherry("down", "--name", "other", "--data-dir", layout.data_dir).output
    assert "stranger: stopped" in wherry("status", "--data-dir", layout.data_dir).output


@pytest.mark.parametrize(("was_ended", "why"), [(True, ""), (False, "it was not ended by `wherry down`; ")])
def test_status_says_how_a_stopped_cluster_comes_back(tmp_path: Path, was_ended: bool, why: str) -> None:
    layout = a_cluster(tmp_path / "data")
    if not was_ended:
        layout.supervisor_file.write_text('{"pid": 1, "started": "before the machine was restarted"}')

    result = wherry("status", "--data-dir", layout.data_dir)

    up = f"`wherry up --name stranger --data-dir {layout.data_dir}`"
    assert result.output.splitlines()[1:] == [f"  {why}{up} brings it back, with its data"]


def test_purge_names_the_files_of_the_person_that_it_leaves(tmp_path: Path) -> None:
    layout = a_cluster(tmp_path / "data")
    layout.encryption_file.touch()
    layout.audit_policy_file.touch()

    result = wherry("down", "--purge", "--name", "stranger", "--data-dir", layout.data_dir)

    assert files_in(layout.data_dir) == ["audit-policy.yaml", "encryption.yaml"]
    left = f"{layout.encryption_file}, {layout.audit_policy_file}"
    assert f"what you put there stays: {left}; backups of the store cannot be read without its keys" in result.output
