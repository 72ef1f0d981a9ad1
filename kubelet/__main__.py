"""`python -m kubelet`: run the kubelet of one node."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from wherry.client.logs import log_to_stdout

if TYPE_CHECKING:
    from kubelet.host import Settings

# The options that the settings take over as they are.
_SETTINGS = (
    *("node_name", "cluster", "network", "address", "port", "cluster_dns", "cluster_domain"),
    *("sandbox_image", "max_pods", "lease_seconds"),
)


def _labels(context: click.Context, parameter: click.Parameter, value: str) -> dict[str, str]:
    labels = {}
    for pair in filter(None, value.split(",")):
        key, equals, text = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not of the form key=value")
        labels[key.strip()] = text.strip()
    return labels


@click.command(context_settings={"max_content_width": 110, "show_default": True})
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Where the API server is, and this node's certificate.",
)
@click.option("--node-name", required=True, help="The name of the Node object this kubelet stands for.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the files of pods; absolute paths below it are mounted into containers.",
)
@click.option("--cluster", default="wherry", help="Containers carry it as a label; nothing without it is touched.")
@click.option("--network", default="wherry", help="Docker network of the pods; created if it does not exist.")
@click.option("--pod-cidr", default="", help="Addresses for that network when it is created, such as 10.244.0.0/24.")
@click.option("--cluster-dns", default="", help="Address of the cluster's DNS, for the pods' resolv.conf.")
@click.option("--cluster-domain", default="cluster.local", help="The cluster's DNS domain.")
@click.option("--address", default="127.0.0.1", help="This node's address: listened on, and reported as InternalIP.")
@click.option("--port", default=10250, help="HTTPS port for logs, exec and attach; 0 for any free one.")
@click.option(
    "--tls-cert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Certificate of that port, valid for --address.",
)
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, help="Its key.")
@click.option(
    "--client-ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CA that clients' certificates must be signed by.",
)
@click.option("--docker-host", default="unix:///var/run/docker.sock", help="The Docker Engine.")
@click.option("--max-pods", default=110, help="How many pods this node takes.")
@click.option(
    "--node-lease-duration-seconds",
    "lease_seconds",
    type=click.IntRange(min=1),
    default=40,
    help="How long its lease is good for; it is renewed four times as often.",
)
@click.option("--node-labels", default="", callback=_labels, help="Labels for the Node: key=value,key=value.")
@click.option(
    "--sandbox-image",
    default="wherry/pause:local",
    help="Image of the sandbox; it must be on the machine and hold /bin/busybox.",
)
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--remove-all", is_flag=True, help="Remove every container, mount and folder of this node, and end.")
def main(**options: Any) -> None:
    """Run pods of one node as Docker containers.

    Pods that the API server assigns to the node are started, kept up, reported and stopped. When this process ends,
    its pods go on; the next one adopts them.
    """
    from kubelet.host import Settings  # heavy imports wait until --help has answered

    level = logging.getLevelName(options.pop("log_level").upper())
    log_to_stdout(level)
    fields = {name: options.pop(name) for name in _SETTINGS}
    settings = Settings(data_dir=options.pop("data_dir").resolve(), labels=options.pop("node_labels"), **fields)
    if options.pop("remove_all"):
        asyncio.run(_remove_all(settings, options["docker_host"]))
    else:
        asyncio.run(_serve(settings, options))


async def _serve(settings: Settings, options: dict[str, Any]) -> None:
    from kubelet.resources.gpus import Gpus
    from kubelet.resources.nvml import find_gpus
    from kubelet.runner import Kubelet
    from kubelet.runtime.docker import Docker
    from kubelet.runtime.docker_format import owner_labels
    from wherry.client.http import Client
    from wherry.client.kubeconfig import load_connection
    from wherry.client.serving.tls import Tls

    docker = Docker(settings.cluster, settings.node_name, engine=options["docker_host"])
    labels = owner_labels(settings.cluster, settings.node_name)

    async def prepare() -> None:
        if settings.network not in ("bridge", "host"):
            await docker.create_network(settings.network, options["pod_cidr"], labels)

    async with Client(load_connection(options["kubeconfig"]), user_agent="wherry-kubelet") as client:
        cards = await asyncio.to_thread(find_gpus)
        gpus = Gpus(cards, find_gpus if cards else None)
        kubelet = Kubelet(settings, client, docker, gpus=gpus, pod_cidr=options["pod_cidr"], prepare=prepare)
        running = asyncio.ensure_future(kubelet.run(Tls(options["tls_cert"], options["tls_key"], options["client_ca"])))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        try:
            await running
        except asyncio.CancelledError:
            structlog.get_logger().info("kubelet stopped; its pods go on", node=settings.node_name)
        finally:
            await docker.close()


async def _remove_all(settings: Settings, docker_host: str) -> None:
    from kubelet.cleanup import remove_everything
    from kubelet.runtime.docker import Docker

    docker = Docker(settings.cluster, settings.node_name, engine=docker_host)
    try:
        count = await remove_everything(docker, settings.data_dir)
    finally:
        await docker.close()
    click.echo(f"removed {count} containers of node {settings.node_name}")


if __name__ == "__main__":
    main()
