"""ValidatingAdmissionPolicy: rules in CEL that refuse, warn, or are written into the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.matching.attributes import Attributes
from apiserver.matching.known import Known
from apiserver.matching.selectors import namespace_of
from apiserver.policies.catalog import Bound, Catalog
from apiserver.policies.params import Misconfigured, params_of
from apiserver.policies.validating import Finding, judge
from apiserver.webhooks.reviews import Denied
from apiserver.writing.rest import Write
from wherry.api.admission.validating_admission_policy import ValidatingAdmissionPolicy as PolicyKind
from wherry.api.admission.validating_admission_policy_binding import ValidatingAdmissionPolicyBinding
from wherry.machinery.errors import forbidden

if TYPE_CHECKING:
    from apiserver.server import Server

_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
_FAILURE = "validation.policy.admission.k8s.io/validation_failure"


class ValidatingAdmissionPolicy(AdmissionPlugin):
    """Kubernetes: ValidatingAdmissionPolicy."""

    operations: ClassVar[tuple[str, ...]] = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    order = 850

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._catalog = Catalog(server, PolicyKind, ValidatingAdmissionPolicyBinding)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if not self._catalog.in_force():
            return
        attributes = Attributes(draft, old, write, self.server.custom.served)
        refusals: list[Denied] = []
        failures: list[dict[str, Any]] = []
        async for bound in self._catalog.concerned(attributes):
            for finding in await self._findings(bound, attributes):
                actions = bound.spec.validation_actions  # type: ignore[attr-defined]  # a validating binding has them
                if "Deny" in actions:
                    refusals.append(_refusal(bound, finding, attributes))
                if "Warn" in actions:
                    place = f"'{bound.policy.name}' with binding '{bound.binding}'"
                    write.warnings.append(f"Validation failed for ValidatingAdmissionPolicy {place}: {finding.message}")
                if "Audit" in actions:
                    failures.append(_failure(bound, finding, actions))
        if failures:
            write.annotations[_FAILURE] = orjson.dumps(failures).decode()
        if refusals:
            raise refusals[0]

    async def _findings(self, bound: Bound, attributes: Attributes) -> list[Finding]:
        try:
            params = await params_of(self.server, bound, attributes)
        except Misconfigured as error:
            return [Finding(f"failed to configure binding: {error}", "Invalid")] if bound.policy.fails_closed else []
        namespace = await namespace_of(self.server, attributes) if attributes.namespace else None
        known = Known(self.server, attributes, bound.cls)
        findings: list[Finding] = []
        for each in params:
            judgement = judge(bound.policy, known.with_more(params=each, namespaceObject=namespace))
            findings += judgement.findings
            attributes.write.annotations.update(judgement.annotations)
        return findings


def _refusal(bound: Bound, finding: Finding, attributes: Attributes) -> Denied:
    place = f"'{bound.policy.name}' with binding '{bound.binding}'"
    why = f"ValidatingAdmissionPolicy {place} denied request: {finding.message}"
    status = forbidden(attributes.write.cls.kind.resource, attributes.name, why).to_status()
    status["details"] = {**status["details"], "causes": [{"message": why}]}
    return Denied({**status, "reason": finding.reason, "code": _CODES.get(finding.reason, 422)})


def _failure(bound: Bound, finding: Finding, actions: tuple[str, ...]) -> dict[str, Any]:
    told = {"message": finding.message, "policy": bound.policy.name, "binding": bound.binding}
    return {**told, "expressionIndex": finding.place, "validationActions": list(actions)}
