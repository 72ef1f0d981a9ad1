"""`wherry timeline`"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import click

from wherry.api.coordination.lease import Lease
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.events.event import Event
from wherry.cli.asking import admin_kubeconfig, asked
from wherry.cli.options import data_dir_option, kubeconfig_option, name_option, namespace_option, says_problems
from wherry.client import clock
from wherry.client.http import Client
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.timeline import Story, node_timeline, pod_timeline, table
from wherry.machinery.errors import NotFound
from wherry.machinery.resource import Resource

R = TypeVar("R", bound=Resource)

_PODS, _NODES = ("pod", "pods", "po"), ("node", "nodes", "no")


@click.command()
@click.argument("what", metavar="pod/NAME|node/NAME")
@namespace_option("Of the pod.")
@kubeconfig_option
@name_option
@data_dir_option
@says_problems
def command(what: str, namespace: str, kubeconfig: Path | None, name: str, data_dir: Path | None) -> None:
    """Show what happened to a pod or a node, in order, and which timer fired when.

    It reads events, conditions, taints and deletion times. Lines by `timer` are those where nothing but time was the
    cause: a node that was silent for too long, a toleration that ended, a grace period that is over.
    """
    kind, slash, named = what.partition("/")
    if not slash or not named or kind not in (*_PODS, *_NODES):
        raise click.BadParameter(f"{what!r}: expected pod/NAME or node/NAME", param_hint="pod/NAME|node/NAME")

    async def ask(client: Client) -> list[str]:
        return await _lines(client, kind in _PODS, named, namespace)

    click.echo("\n".join(asked(kubeconfig or admin_kubeconfig(name, data_dir), ask, about=what)))


async def _lines(client: Client, is_pod: bool, name: str, namespace: str) -> list[str]:
    story = await (_of_pod(client, name, namespace) if is_pod else _of_node(client, name))
    moments = pod_timeline(story) if is_pod else node_timeline(story)
    if not moments:
        where = f"pod {namespace}/{name}" if is_pod else f"node {name}"
        raise ClusterProblem(f"there is no {where}, and no event about one of that name")
    return list(table(moments, clock.now()))


async def _of_pod(client: Client, name: str, namespace: str) -> Story:
    pod = await _found(client, Pod, name, namespace)
    node = await _found(client, Node, pod.spec.node_name) if pod is not None and pod.spec.node_name else None
    lease = await _found(client, Lease, node.metadata.name, "kube-node-lease") if node is not None else None
    fields = f"involvedObject.kind=Pod,involvedObject.name={name}"
    events = (await client.list(Event, namespace, fields=fields)).items
    victims = (await client.list(Event, "", fields="reason=Preempted")).items if pod is not None else ()
    return Story(pod=pod, node=node, lease=lease, events=tuple(events), preempted=tuple(victims))


async def _of_node(client: Client, name: str) -> Story:
    node = await _found(client, Node, name)
    pods = (await client.list(Pod, "", fields=f"spec.nodeName={name}")).items
    fields = f"involvedObject.kind=Node,involvedObject.name={name}"
    events = (await client.list(Event, "", fields=fields)).items
    lease = await _found(client, Lease, name, "kube-node-lease")
    return Story(node=node, lease=lease, pods=tuple(pods), events=tuple(events))


async def _found(client: Client, kind: type[R], name: str, namespace: str = "") -> R | None:
    try:
        return await client.get(kind, name, namespace)
    except NotFound:
        return None
