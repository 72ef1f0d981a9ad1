"""MutatingAdmissionPolicy: changes in CEL, made one after the other, and again where others changed the object."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.admission.dynamic.rounds import Rounds
from apiserver.matching.attributes import Attributes
from apiserver.matching.known import Known
from apiserver.matching.selectors import namespace_of
from apiserver.policies.catalog import Bound, Catalog
from apiserver.policies.mutating import Unmade, make
from apiserver.policies.params import Misconfigured, params_of
from apiserver.writing.rest import Write
from wherry.api.admission.mutating_admission_policy import MutatingAdmissionPolicy as PolicyKind
from wherry.api.admission.mutating_admission_policy import MutatingAdmissionPolicySpec
from wherry.api.admission.mutating_admission_policy_binding import MutatingAdmissionPolicyBinding
from wherry.machinery.errors import forbidden

if TYPE_CHECKING:
    from apiserver.server import Server


class MutatingAdmissionPolicy(AdmissionPlugin):
    """Kubernetes: MutatingAdmissionPolicy."""

    operations: ClassVar[tuple[str, ...]] = ("CREATE", "UPDATE", "CONNECT")
    order = 790

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._catalog = Catalog(server, PolicyKind, MutatingAdmissionPolicyBinding)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if not self._catalog.in_force():
            return
        plugin, attributes = type(self).__name__, Attributes(draft, old, write, self.server.custom.served)
        rounds = write.rounds = write.rounds or Rounds()
        again = rounds.reinvoked(plugin, attributes)
        async for bound in self._catalog.concerned(attributes):
            uid = f"{bound.policy.name}/{bound.binding}"
            if rounds.is_second and uid not in again:
                continue
            try:
                has_changed = await self._change(bound, attributes)
            except (Misconfigured, Unmade) as error:
                if not bound.policy.fails_closed:
                    continue
                why = f"policy '{bound.policy.name}' with binding '{bound.binding}' denied request: {error}"
                raise forbidden(write.cls.kind.resource, attributes.name, why) from None
            if has_changed:
                rounds.changed(plugin)
                again = rounds.due(plugin)
            spec = bound.policy.spec
            if isinstance(spec, MutatingAdmissionPolicySpec) and spec.reinvocation_policy == "IfNeeded":
                rounds.ask_again(plugin, uid)
        rounds.ended(plugin, attributes)

    async def _change(self, bound: Bound, attributes: Attributes) -> bool:
        params = await params_of(self.server, bound, attributes)
        namespace = await namespace_of(self.server, attributes) if attributes.namespace else None
        has_changed = False
        for each in params:
            # Each change sees the object as the one before has left it.
            for index, change in enumerate(bound.policy.changes):
                known = Known(self.server, attributes, bound.cls).with_more(params=each, namespaceObject=namespace)
                outcome = bound.policy.conditions.evaluate(known) if not index else None
                if outcome is not None and outcome.problems:
                    raise Unmade(", ".join(outcome.problems))
                if outcome is not None and not outcome.holds:
                    break
                has_changed |= make(change, bound.policy.with_variables(known), attributes, bound.cls)
        return has_changed
