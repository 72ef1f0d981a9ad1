"""Which taints a pod may live with. Kubernetes: component-helpers `FindMatchingUntoleratedTaint`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wherry.api.core.pod import Toleration

# Key, value, effect.
TaintKey = tuple[str, str, str]


def tolerates(tolerations: Iterable[Toleration], taint: TaintKey) -> bool:
    """Whether one of the tolerations covers the taint."""
    return any(_covers(toleration, taint) for toleration in tolerations)


def untolerated(
    tolerations: Iterable[Toleration], taints: Iterable[TaintKey], effects: tuple[str, ...]
) -> Iterator[TaintKey]:
    """The taints with one of these effects that no toleration covers, in their order on the node."""
    return (taint for taint in taints if taint[2] in effects and not tolerates(tolerations, taint))


def _covers(toleration: Toleration, taint: TaintKey) -> bool:
    key, value, effect = taint
    if toleration.effect and toleration.effect != effect:
        return False
    if toleration.key and toleration.key != key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == value
