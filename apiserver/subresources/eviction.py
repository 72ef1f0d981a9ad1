"""`pods/eviction`: delete a pod unless its disruption budget forbids it now. Kubernetes: EvictionREST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apiserver import resources
from apiserver.matching.attributes import Facet, Names
from apiserver.reading.answering import told
from apiserver.request import SERVER_ITSELF, Answer, Request
from apiserver.subresources.base import subresource
from apiserver.writing.deletion import DeleteOptions
from apiserver.writing.rest import Write
from wherry.api.core.pod import Pod
from wherry.api.policy.disruption_budget import PodDisruptionBudget
from wherry.api.policy.eviction import Eviction
from wherry.machinery.errors import ApiError, BadRequest, InternalError, TooManyRequests
from wherry.machinery.resource import Resource
from wherry.machinery.time import time_text

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]
_SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


@subresource("pods/eviction", verbs=("create",), kind=("policy", "v1", "Eviction"))
async def eviction(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """POST: evict, or 429 when a budget has nothing left."""
    write = resources.write_of(request, cls, "DELETE")
    draft = await resources.read_draft(request, Eviction)
    if draft["metadata"].get("name", write.name) != write.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    options = DeleteOptions.read(draft.get("deleteOptions") or {})
    write.dry_run = write.dry_run or options.dry_run
    stored = await server.rest(cls).get(write.namespace, write.name)
    pod = Pod.read(stored.item)
    if not pod.is_finished and pod.metadata.deleted_at is None and pod.status.phase != "Pending":
        await _spend_budget(server, pod, dry_run=write.dry_run)
    write.subresource = ""
    write.facet = Facet("eviction", "CREATE", Names("policy", "v1", "Eviction"), lambda _: draft, _leave)
    await server.rest(cls).delete(options, write)
    return told(request, _SUCCESS, 201)


def _leave(pod: Draft, eviction: Draft) -> None:
    """A pod is evicted as was asked, or not at all."""


async def _spend_budget(server: Server, pod: Pod, *, dry_run: bool) -> None:
    namespace = pod.metadata.namespace
    listed = server.cache.of(PodDisruptionBudget).objects(namespace)
    budgets = [PodDisruptionBudget.read(stored.item) for stored in listed]
    matching = [each for each in budgets if each.spec.selector and each.spec.selector.matches(pod.metadata.labels)]
    if len(matching) > 1:
        raise InternalError(
            "Internal error occurred: This pod has more than one PodDisruptionBudget, which the eviction subresource "
            "does not support."
        )
    if not matching:
        return
    name = matching[0].metadata.name

    def spent(budget: Draft) -> Draft:
        status = budget.setdefault("status", {})
        if status.get("disruptionsAllowed", 0) <= 0:
            raise _refusal(name, budget)
        status["disruptionsAllowed"] -= 1
        status.setdefault("disruptedPods", {})[pod.metadata.name] = time_text(server.now())
        return budget

    write = Write(PodDisruptionBudget, "UPDATE", namespace, name, SERVER_ITSELF, "status", dry_run)
    await server.rest(PodDisruptionBudget).update(spent, write)


def _refusal(name: str, budget: Draft) -> ApiError:
    status = budget.get("status") or {}
    wanted, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    message = f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
    causes = [{"reason": "DisruptionBudget", "message": message}]
    return TooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", {"causes": causes})
