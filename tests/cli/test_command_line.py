"""The command line: quick to answer, and clear about what it does not understand."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from wherry.cli import main
from wherry.cli.main import VERBS
from wherry.cli.options import kubeconfig_option, namespace_option

HEAVY = ("fastapi", "docker", "aiohttp", "cryptography", "numpy", "wherry.api", "yaml")


def test_help_lists_every_verb() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output

    for verb in VERBS:
        assert f"\n  {verb} " in shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    result = CliRunner().invoke(main, [verb, "--help"])

    assert result.exit_code == 0
    assert VERBS[verb].rstrip(".") in " ".join(result.output.split())


def test_help_imports_nothing_heavy() -> None:
    program = f"""
import sys
from wherry.cli import main
main(["--help"], standalone_mode=False)
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--no-node", "--nodes", "2"], "--no-node and --nodes exclude each other"),
        (["--nodes", "0"], "0 is not in the range"),
        (["--store", "paper"], "'paper' is not one of"),
        (["--etcd-endpoints", "http://e:2379"], "--etcd-endpoints goes with --store etcd"),
        (["--store", "etcd", "--etcd-endpoints", "e:2379"], "'e:2379': expected http://HOST:PORT"),
        (["--name", "No Name"], "--name 'No Name': at most 32 lower case letters"),
        (["--port", "70000"], "70000 is not in the range"),
    ],
)
def test_what_up_does_not_understand_is_named(tmp_path: Path, options: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["up", "--data-dir", str(tmp_path / "data"), *options])

    assert result.exit_code != 0
    assert said in result.output
    assert not (tmp_path / "data").exists()


def test_a_plan_that_is_not_understood_does_not_look_like_one_that_does_not_fit() -> None:
    missing, unknown = (CliRunner().invoke(main, ["plan", *words]) for words in ([], ["-f", "-", "--nope"]))

    assert (missing.exit_code, unknown.exit_code) == (64, 64)
    assert "Missing option '-f'" in missing.output
    assert "No such option '--nope'" in unknown.output


def test_down_of_nothing_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["down", "--data-dir", str(tmp_path / "none")])

    assert result.exit_code == 0
    assert "there is no cluster wherry" in result.output


@pytest.mark.parametrize("words", [["who"], ["queue"], ["fairshare"], ["why", "pod/x"], ["timeline", "pod/x"]])
def test_of_a_cluster_that_is_stopped_it_is_said_that_it_does_not_answer_and_what_to_do(
    tmp_path: Path, words: list[str]
) -> None:
    data = tmp_path / "lab"
    folder = data / "kubeconfig"
    folder.mkdir(parents=True)
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    config = {"clusters": [cluster], "contexts": [context], "users": [{"name": "u"}], "current-context": "c"}
    (folder / "admin.conf").write_text(json.dumps(config))

    result = CliRunner().invoke(main, [*words, "--name", "lab", "--data-dir", str(data)])

    options = f"--name lab --data-dir {data}"
    assert result.output == (
        f"Error: cluster lab does not answer at http://127.0.0.1:1; `wherry status {options}` says how it does, "
        f"and `wherry up {options}` starts it if it is stopped\n"
    )


@pytest.mark.parametrize(
    ("words", "meant"),
    [([], "default"), (["--kubeconfig", "FILE"], "robots"), (["-n", "shop", "--kubeconfig", "FILE"], "shop")],
)
def test_the_namespace_is_that_of_the_context_unless_it_is_said(tmp_path: Path, words: list[str], meant: str) -> None:
    @click.command()
    @namespace_option("Of the pod.")
    @kubeconfig_option
    def verb(namespace: str, kubeconfig: Path | None) -> None:
        click.echo(namespace)

    file = tmp_path / "lab.conf"
    context = {"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "robots"}}
    clusters = [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}]
    config = {"clusters": clusters, "contexts": [context], "users": [{"name": "u"}], "current-context": "c"}
    file.write_text(json.dumps(config))

    result = CliRunner().invoke(verb, [str(file) if word == "FILE" else word for word in words])

    assert result.output == f"{meant}\n"


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = str(listening.getsockname()[1])

        result = CliRunner().invoke(main, ["up", "--no-node", "--data-dir", str(tmp_path / "data"), "--port", port])

    assert f"--port {port}: another program listens there" in result.output
