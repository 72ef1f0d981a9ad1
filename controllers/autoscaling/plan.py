"""As many replicas as the metrics ask for, within bounds and not too fast. Kubernetes: horizontal.go.

The reasons and messages of conditions and events are Kubernetes' own, because people search for them.
"""

from __future__ import annotations

from typing import NamedTuple

from controllers.autoscaling.arithmetic import Tolerance
from controllers.autoscaling.asked import Proposal, Refusal
from controllers.autoscaling.findings import Findings
from controllers.autoscaling.memory import EMPTY, Memory
from controllers.autoscaling.metrics import proposal
from controllers.autoscaling.pace import Course, paced
from controllers.autoscaling.seen import Missing, Seen, Target
from wherry.api.autoscaling.horizontal_pod_autoscaler import HorizontalPodAutoscaler, ScalingRules
from wherry.client.plan import Plan, SetStatus, Update

TOLERANCE = 0.1


class Decision(NamedTuple):
    """What to write: `replicas` is None where the target stays as it is."""

    findings: Findings
    target: Target | None = None
    replicas: int | None = None
    reason: str = ""
    memory: Memory = EMPTY


class _Wanted(NamedTuple):
    """The number of replicas to go for; None to leave the target alone."""

    replicas: int | None
    reason: str
    memory: Memory


def decide(hpa: HorizontalPodAutoscaler, seen: Seen) -> Decision:
    """What follows from what was seen."""
    findings = Findings(hpa, seen.now)
    target = seen.target
    if isinstance(target, Missing):
        findings.warn("FailedGetScale", target.why)
        why = f"the HPA controller was unable to get the target's current scale: {target.why}"
        findings.able(False, "FailedGetScale", why)
        return Decision(findings, memory=seen.memory)
    findings.able(True, "SucceededGetScale", "the HPA controller was able to get the target's current scale")
    findings.current = target.replicas
    findings.read(())
    memory = seen.memory.begun(target.replicas, seen.now)
    wanted = _wanted(hpa, seen, target, memory, findings)
    if wanted.replicas is None or wanted.replicas == target.replicas:
        return Decision(findings, target, None, "", wanted.memory)
    return Decision(findings, target, wanted.replicas, wanted.reason, wanted.memory)


def rescaled(decision: Decision) -> Plan:
    """Write the number of replicas, if it is to change."""
    if decision.target is not None and decision.replicas is not None:
        yield Update(decision.target.obj, {"spec": {"replicas": decision.replicas}}, "scale")


def told(seen: Seen, decision: Decision) -> Plan:
    """After the number was written, or because none was to be: say what was found and done."""
    findings, replicas = decision.findings, decision.replicas
    if replicas is not None:
        done = f"the HPA controller was able to update the target scale to {replicas}"
        findings.able(True, "SucceededRescale", done)
        findings.tell("SuccessfulRescale", f"New size: {replicas}; reason: {decision.reason}")
        findings.desired, findings.scaled_at = replicas, seen.now
    yield from findings.events
    yield SetStatus(findings.reported())


def refused(decision: Decision, why: str) -> Plan:
    """The number could not be written: say that."""
    findings = decision.findings
    findings.keep_desired()
    size = f"New size: {decision.replicas}; reason: {decision.reason}; error: {why}"
    findings.warn("FailedRescale", size)
    failed = f"the HPA controller was unable to update the target scale: {why}"
    findings.able(False, "FailedUpdateScale", failed)
    yield from findings.events
    yield SetStatus(findings.reported())


def remembered(decision: Decision, seen: Seen) -> Memory:
    """What the next decision knows of this one, once the number is written."""
    if decision.target is None or decision.replicas is None:
        return decision.memory
    return decision.memory.scaled(decision.target.replicas, decision.replicas, seen.now)


def _wanted(hpa: HorizontalPodAutoscaler, seen: Seen, target: Target, memory: Memory, findings: Findings) -> _Wanted:
    spec = hpa.spec
    least = 1 if spec.min_replicas is None else spec.min_replicas
    if target.replicas == 0 and least != 0:
        findings.active(False, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
        findings.desired = 0
        return _Wanted(None, "", memory)
    if target.replicas > spec.max_replicas:
        return _Wanted(spec.max_replicas, "Current number of replicas above Spec.MaxReplicas", memory)
    if target.replicas < least:
        return _Wanted(least, "Current number of replicas below Spec.MinReplicas", memory)
    best = _best(hpa, seen, target, findings)
    if best is None:
        return _Wanted(None, "", memory)
    pace = paced(spec, least, Course(target.replicas, best.replicas, seen.now, memory))
    findings.able(True, pace.stable.reason, pace.stable.message)
    findings.limited(pace.is_limited, pace.limit.reason, pace.limit.message)
    findings.desired = target.replicas
    up = best.replicas > target.replicas
    return _Wanted(pace.replicas, f"{best.name} above target" if up else "All metrics below target", pace.memory)


def _best(hpa: HorizontalPodAutoscaler, seen: Seen, target: Target, findings: Findings) -> Proposal | None:
    """The proposal of most replicas; None where nothing may be concluded from the metrics."""
    if not findings.can_select(target, seen.rivals):
        return None
    tolerance = _tolerance(hpa)
    answers = [proposal(place, spec, seen, target, tolerance) for place, spec in enumerate(hpa.spec.metrics)]
    findings.read(answers)
    proposals = [answer for answer in answers if isinstance(answer, Proposal)]
    refusals = [answer for answer in answers if isinstance(answer, Refusal)]
    for refusal in refusals:
        findings.warn(refusal.reason, refusal.why)
    best = max(proposals, key=lambda one: one.replicas, default=None)
    if best is None or (refusals and best.replicas < target.replicas):
        # Those that said nothing might have asked for more: nothing shrinks on half of the evidence.
        findings.refuse(refusals, len(answers))
        return None
    found = f"the HPA was able to successfully calculate a replica count from {best.name}"
    findings.active(True, "ValidMetricFound", found)
    return best


def _tolerance(hpa: HorizontalPodAutoscaler) -> Tolerance:
    behavior = hpa.spec.behavior
    if behavior is None:
        return Tolerance(TOLERANCE, TOLERANCE)
    return Tolerance(_share(behavior.scale_up), _share(behavior.scale_down))


def _share(rules: ScalingRules | None) -> float:
    given = rules.tolerance if rules is not None else None
    return TOLERANCE if given is None else given.nanos / 10**9
