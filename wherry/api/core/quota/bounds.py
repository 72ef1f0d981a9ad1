"""What limit ranges make of pods and claims: the defaults that containers get, and what does not keep within bounds.

Applied by apiserver/admission/limit_ranger.py, and by `wherry plan` to what comes in the same file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from wherry.api.core.limit_range import CLAIM, CONTAINER, POD, LimitRange, LimitRangeItem
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.core.pod.totals import pod_limits, pod_requests
from wherry.machinery.quantity import NANOS, Quantity

Draft = dict[str, Any]
ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, Quantity]
# Of which resource, per what, and how much.
_Bound = tuple[str, str, Quantity]
# Judges what is requested and limited; the complaint, or nothing.
_Rule = Callable[[_Bound, Quantity | None, Quantity | None], str]


def told(complaints: Iterable[str]) -> str:
    """What is complained of, in Kubernetes' words; empty if nothing is."""
    once = list(dict.fromkeys(complaints))
    return once[0] if len(once) == 1 else f"[{', '.join(once)}]" if once else ""


def set_defaults(draft: Draft, ranges: LimitRange) -> None:
    """Give the containers of a pod what they do not say themselves."""
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for item in ranges.spec.limits:
        if item.type == CONTAINER:
            limits |= {name: str(amount) for name, amount in item.default.items()}
            requests |= {name: str(amount) for name, amount in item.default_request.items()}
    added: list[str] = []
    for field, title in (("containers", "container"), ("initContainers", "init container")):
        for container in draft["spec"].get(field) or []:
            added += _fill(container, "requests", requests, title)
            added += _fill(container, "limits", limits, title)
    if added:
        annotations = draft["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(added)


def _fill(container: Draft, side: str, amounts: dict[str, str], title: str) -> Iterator[str]:
    """Add what the container does not say; tells what was added."""
    given: dict[str, Any] = (container.get("resources") or {}).get(side) or {}
    missing = sorted(amounts.keys() - given.keys())
    if missing:
        container.setdefault("resources", {})[side] = {**given, **{name: amounts[name] for name in missing}}
        yield f"{', '.join(missing)} {side.removesuffix('s')} for {title} {container.get('name', '')}"


def complaints_of_pod(draft: Draft, ranges: LimitRange) -> Iterator[str]:
    """How a pod is out of bounds."""
    spec = Pod.read(draft).spec
    for item in ranges.spec.limits:
        if item.type == CONTAINER:
            for container in (*spec.containers, *spec.init_containers):
                yield from _complaints(item, container.resources.requests, container.resources.limits)
        elif item.type == POD:
            requests, limits = pod_requests(spec, with_overhead=False), pod_limits(spec, with_overhead=False)
            yield from _complaints(item, requests, limits)


def complaints_of_claim(draft: Draft, ranges: LimitRange) -> Iterator[str]:
    """How a claim is."""
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
