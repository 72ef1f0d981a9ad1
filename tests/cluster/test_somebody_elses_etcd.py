"""A cluster whose objects are in an etcd that is not its own: it is asked first, and keeps them in the end."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from apiserver.storage import etcd_connection
from tests.storage.etcd_server import start_etcd
from wherry.cli.main import main
from wherry.cluster.etcd_endpoints import check_endpoints, removal_of_objects
from wherry.cluster.layout import Layout
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import EtcdSettings, Settings

NOBODY = "http://127.0.0.1:1"


def wherry(verb: str, folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, [verb, "--name", "zz", "--data-dir", str(folder), *options])


def a_stopped_cluster(folder: Path) -> Layout:
    layout = Layout("zz", folder)
    layout.make()
    etcd = EtcdSettings((NOBODY,), ca_file="/ca.crt")
    Settings(port=6443, store="etcd", etcd=etcd, kubeconfig=str(folder / "none")).save(layout)
    return layout


def test_an_etcd_that_does_not_answer_is_named_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_connection, "REQUEST_SECONDS", 0.0)

    result = wherry("up", tmp_path / "data", "--no-node", "--store", "etcd", "--etcd-endpoints", NOBODY)

    last = result.output.splitlines()[-1]
    assert last.startswith(f"Error: --etcd-endpoints: {NOBODY}: failed to connect")
    assert last.endswith("start that etcd, or leave the option out, and one is started for the cluster")
    assert (result.exit_code, (tmp_path / "data").exists()) == (1, False)


def test_a_cluster_that_was_stopped_asks_its_etcd_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_connection, "REQUEST_SECONDS", 0.0)
    layout = a_stopped_cluster(tmp_path / "data")
    Settings(port=6443, store="etcd", etcd=EtcdSettings((NOBODY,))).save(layout)

    result = wherry("up", layout.data_dir)

    assert f"Error: --etcd-endpoints: {NOBODY}: failed to connect" in result.output
    assert not layout.supervisor_file.exists()


def test_endpoints_that_are_none_are_told_of_in_the_words_of_the_store() -> None:
    with pytest.raises(
        ClusterProblem, match=r"^--etcd-endpoints: etcd endpoint 'http://e': expected https://HOST:PORT"
    ):
        check_endpoints(EtcdSettings(("http://e",)), print)


def test_one_member_that_answers_is_enough(tmp_path: Path) -> None:
    said: list[str] = []

    with start_etcd(tmp_path) as etcd:
        check_endpoints(EtcdSettings((NOBODY, etcd.url)), said.append)

    assert [line.split(": ")[0] for line in said] == ["no etcd answers yet"]


def test_purge_says_that_the_objects_stay_and_what_removes_them(tmp_path: Path) -> None:
    layout = a_stopped_cluster(tmp_path / "data")

    assert "its objects" not in wherry("down", layout.data_dir).output
    result = wherry("down", layout.data_dir, "--purge")

    assert f"its objects stay in the etcd at {NOBODY}, below /registry/" in result.output
    assert f"etcdctl --endpoints {NOBODY} --cacert /ca.crt del --prefix /registry/\n" in result.output
    assert not layout.data_dir.exists()


def test_the_command_that_removes_them_says_who_one_is() -> None:
    etcd = EtcdSettings(("https://a:1", "https://b:1"), "/ca", "/cert", "/key")

    access = "--cacert /ca --cert /cert --key /key"
    assert removal_of_objects(etcd) == f"etcdctl --endpoints https://a:1,https://b:1 {access} del --prefix /registry/"
