"""Escalation: nobody grants rights that they do not have, neither by writing a role nor by binding one."""

from __future__ import annotations

from typing import ClassVar

import orjson

from apiserver.access.rbac import MASTERS, Attributes, covers
from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.rbac.binding import RoleRef
from wherry.api.rbac.role import ClusterRole, PolicyRule, Role
from wherry.machinery.errors import ApiError, forbidden, not_found

_GROUP = "rbac.authorization.k8s.io"
_BINDINGS = (f"rolebindings.{_GROUP}", f"clusterrolebindings.{_GROUP}")
# What an aggregated role may come to hold is open, so whoever makes one must hold everything.
_EVERYTHING = (
    PolicyRule(verbs=("*",), api_groups=("*",), resources=("*",)),
    PolicyRule(verbs=("*",), non_resource_urls=("*",)),
)


class Escalation(AdmissionPlugin):
    """Kubernetes: the policy-based storage of RBAC kinds. The verbs `escalate` and `bind` lift the rule."""

    kinds: ClassVar[tuple[str, ...]] = (f"roles.{_GROUP}", f"clusterroles.{_GROUP}", *_BINDINGS)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if MASTERS in write.user.groups:
            return
        if write.cls.kind.resource in _BINDINGS:
            self._check_binding(draft, old, write)
        else:
            self._check_role(draft, old, write)

    def _check_role(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if old is not None and all(draft.get(field) == old.get(field) for field in ("rules", "aggregationRule")):
            return
        plural = write.cls.kind.plural
        if self._may(write, Attributes("escalate", _GROUP, plural, write.namespace, write.name)):
            return
        wanted = (ClusterRole if write.cls is ClusterRole else Role).read(draft).rules
        self._check_held(wanted, write)
        if draft.get("aggregationRule"):
            self._check_held(_EVERYTHING, write)

    def _check_binding(self, draft: Draft, old: Draft | None, write: Write) -> None:
        same = ("roleRef", "subjects")
        if old is not None and all(draft.get(field) == old.get(field) for field in same):
            return
        ref = RoleRef.read(draft["roleRef"])
        plural, namespace = ("clusterroles", "") if ref.kind == "ClusterRole" else ("roles", write.namespace)
        if self._may(write, Attributes("bind", _GROUP, plural, write.namespace, ref.name)):
            return
        if self.server.cache.of(ClusterRole if ref.kind == "ClusterRole" else Role).get(namespace, ref.name) is None:
            raise not_found(f"{plural}.{_GROUP}", ref.name)
        self._check_held(self.server.authorizer.rules_of(ref, write.namespace), write)

    def _may(self, write: Write, wanted: Attributes) -> bool:
        return self.server.authorizer.decide(write.user, wanted).allowed

    def _check_held(self, wanted: tuple[PolicyRule, ...], write: Write) -> None:
        held = list(self.server.authorizer.rules_in(write.user, write.namespace))
        missing = [rule for rule in wanted if not covers(held, rule)]
        if missing:
            raise _refusal(missing, write)


def _refusal(missing: list[PolicyRule], write: Write) -> ApiError:
    groups = " ".join(f'"{group}"' for group in write.user.groups)
    listed = "\n".join(_compact(rule) for rule in missing)
    why = f'user "{write.user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:'
    return forbidden(write.cls.kind.resource, write.name, f"{why}\n{listed}")


def _compact(rule: PolicyRule) -> str:
    """A rule on one line: `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}`."""
    named = ("APIGroups", rule.api_groups), ("Resources", rule.resources), ("ResourceNames", rule.resource_names)
    parts = [*named, ("NonResourceURLs", rule.non_resource_urls), ("Verbs", rule.verbs)]
    return "{" + ", ".join(f"{name}:{orjson.dumps(values).decode()}" for name, values in parts if values) + "}"
