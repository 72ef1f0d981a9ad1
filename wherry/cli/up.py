"""`wherry up`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from wherry.cli.options import data_dir_option, name_option, say, says_problems
from wherry.cluster.layout import Layout, layout_of
from wherry.cluster.settings import STORES, EtcdSettings, Settings
from wherry.cluster.starting import Wanted, start

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_MOST_NODES = 32
_MOST_FAKE_NODES = 5000


@click.command()
@name_option
@click.option("--nodes", type=click.IntRange(1, _MOST_NODES), help="Nodes (kubelets) on this machine. [default: 1]")
@click.option("--no-node", is_flag=True, help="No node that runs containers, so no Docker is needed.")
@click.option("--fake-nodes", type=click.IntRange(0, _MOST_FAKE_NODES), help="Nodes that only pretend. [default: 0]")
@click.option("--store", type=click.Choice(STORES), help="Where objects are kept. [default: sqlite]")
@click.option("--etcd-endpoints", help="URL[,URL...] of an etcd; without, --store etcd starts one on this machine.")
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
@says_problems
def command(**given: Any) -> None:
    """Start a cluster on this machine and wait until it is ready.

    Run again it changes nothing. What an earlier `up` of the same cluster chose stays chosen.
    """
    layout = layout_of(given["name"], given["data_dir"])
    settings = start(layout, _wanted(given), say)
    click.echo(_next(layout, settings))


def _wanted(given: dict[str, Any]) -> Wanted:
    if given["no_node"] and given["nodes"]:
        raise click.UsageError("--no-node and --nodes exclude each other")
    return Wanted(
        nodes=0 if given["no_node"] else given["nodes"],
        fake_nodes=given["fake_nodes"],
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


def _next(layout: Layout, settings: Settings) -> str:
    which = "" if layout_of().title == layout.title else f" --name {layout.name}"
    if layout.data_dir != layout_of(layout.name).data_dir:
        which += f" --data-dir {layout.data_dir}"
    lines = [f"\nCluster {layout.name} is ready: {settings.url}, context {layout.title}. Next:\n"]
    lines.append("  kubectl get nodes -o wide")
    if settings.nodes:
        lines += ["  kubectl apply -f examples/web.yaml", "  kubectl -n shop get pods -o wide -w"]
    lines += [f"  wherry status{which}", f"  wherry down{which}"]
    return "\n".join(lines)
