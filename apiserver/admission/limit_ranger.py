"""LimitRanger: pods and claims keep within the bounds of their namespace; containers get its defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.core.limit_range import CLAIM, CONTAINER, POD, LimitRange, LimitRangeItem
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.core.pod.totals import pod_limits, pod_requests
from wherry.machinery.errors import forbidden
from wherry.machinery.quantity import NANOS, Quantity

ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, Quantity]
# Of which resource, per what, and how much.
_Bound = tuple[str, str, Quantity]
# Judges what is requested and limited; the complaint, or nothing.
_Rule = Callable[[_Bound, Quantity | None, Quantity | None], str]


class LimitRanger(AdmissionPlugin):
    """Kubernetes: LimitRanger. A pod's containers never change, except by a resize, which is judged like a new pod."""

    kinds: ClassVar[tuple[str, ...]] = ("pods", "persistentvolumeclaims")

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if write.cls.kind.resource == "pods" and write.operation == "CREATE":
            for ranges in self._ranges(write.namespace):
                _set_defaults(draft, ranges)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        is_pod = write.cls.kind.resource == "pods"
        if write.operation == "UPDATE" and write.subresource != ("resize" if is_pod else ""):
            return
        for ranges in self._ranges(write.namespace):
            complaints = _complaints_of_pod(draft, ranges) if is_pod else _complaints_of_claim(draft, ranges)
            told = list(dict.fromkeys(complaints))
            if told:
                why = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
                raise forbidden(write.cls.kind.resource, write.name, why)

    def _ranges(self, namespace: str) -> list[LimitRange]:
        cache = self.server.cache.of(LimitRange)
        return [LimitRange.read(each.item) for each in cache.objects(namespace)] if cache.count(namespace) else []


def _set_defaults(draft: Draft, ranges: LimitRange) -> None:
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for item in ranges.spec.limits:
        if item.type == CONTAINER:
            limits |= {name: str(amount) for name, amount in item.default.items()}
            requests |= {name: str(amount) for name, amount in item.default_request.items()}
    told: list[str] = []
    for field, title in (("containers", "container"), ("initContainers", "init container")):
        for container in draft["spec"].get(field) or []:
            told += _fill(container, "requests", requests, title)
            told += _fill(container, "limits", limits, title)
    if told:
        annotations = draft["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(told)


def _fill(container: Draft, side: str, amounts: dict[str, str], title: str) -> Iterator[str]:
    """Add what the container does not say; tells what was added."""
    given: dict[str, Any] = (container.get("resources") or {}).get(side) or {}
    missing = sorted(amounts.keys() - given.keys())
    if missing:
        container.setdefault("resources", {})[side] = {**given, **{name: amounts[name] for name in missing}}
        yield f"{', '.join(missing)} {side.removesuffix('s')} for {title} {container.get('name', '')}"


def _complaints_of_pod(draft: Draft, ranges: LimitRange) -> Iterator[str]:
    spec = Pod.read(draft).spec
    for item in ranges.spec.limits:
        if item.type == CONTAINER:
            for container in (*spec.containers, *spec.init_containers):
                yield from _complaints(item, container.resources.requests, container.resources.limits)
        elif item.type == POD:
            requests, limits = pod_requests(spec, with_overhead=False), pod_limits(spec, with_overhead=False)
            yield from _complaints(item, requests, limits)


def _complaints_of_claim(draft: Draft, ranges: LimitRange) -> Iterator[str]:
    requests = PersistentVolumeClaim.read(draft).spec.resources.requests
    for item in ranges.spec.limits:
        if item.type == CLAIM:
            rules: tuple[tuple[Amounts, _Rule], ...] = ((item.min, _too_little), (item.max, _request_too_large))
            yield from _broken(item.type, rules, requests, {})


def _complaints(item: LimitRangeItem, requests: Amounts, limits: Amounts) -> Iterator[str]:
    rules: tuple[tuple[Amounts, _Rule], ...] = (
        (item.min, _too_little),
        (item.max, _too_much),
        (item.max_limit_request_ratio, _too_far_apart),
    )
    yield from _broken(item.type, rules, requests, limits)


def _broken(type: str, rules: tuple[tuple[Amounts, _Rule], ...], requests: Amounts, limits: Amounts) -> Iterator[str]:
    for bounds, rule in rules:
        for name, bound in bounds.items():
            complaint = rule((name, type, bound), requests.get(name), limits.get(name))
            if complaint:
                yield complaint


def _too_little(rule: _Bound, request: Quantity | None, limit: Quantity | None) -> str:
    name, type, bound = rule
    usage = f"minimum {name} usage per {type} is {bound}"
    if request is None:
        return f"{usage}.  No request is specified"
    if request < bound:
        return f"{usage}, but request is {request}"
    return f"{usage}, but limit is {limit}" if limit is not None and limit < bound else ""


def _too_much(rule: _Bound, request: Quantity | None, limit: Quantity | None) -> str:
    name, type, bound = rule
    usage = f"maximum {name} usage per {type} is {bound}"
    if limit is None:
        return f"{usage}.  No limit is specified"
    if limit > bound:
        return f"{usage}, but limit is {limit}"
    return f"{usage}, but request is {request}" if request is not None and request > bound else ""


def _request_too_large(rule: _Bound, request: Quantity | None, _: Quantity | None) -> str:
    name, type, bound = rule
    usage = f"maximum {name} usage per {type} is {bound}"
    if request is None:
        return f"{usage}.  No request is specified"
    return f"{usage}, but request is {request}" if request > bound else ""


def _too_far_apart(rule: _Bound, request: Quantity | None, limit: Quantity | None) -> str:
    name, type, bound = rule
    ratio = f"{name} max limit to request ratio per {type} is {bound}"
    if not request:
        return f"{ratio}, but no request is specified or request is 0"
    if not limit:
        return f"{ratio}, but no limit is specified or limit is 0"
    is_over = limit.nanos * NANOS > bound.nanos * request.nanos
    return f"{ratio}, but provided ratio is {limit.nanos / request.nanos:f}" if is_over else ""
