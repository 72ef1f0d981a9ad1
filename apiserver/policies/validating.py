"""What a validating policy says about a write. Kubernetes: admission/plugin/policy/validating."""

from __future__ import annotations

from typing import Any, NamedTuple

from apiserver.matching.known import Known
from apiserver.policies.compiled import Policy, Rule, Variables
from wherry.machinery.cel import Failure

# Longer messages, and longer values for the audit log, are cut. Kubernetes: the same.
MAX_MESSAGE_BYTES = 5 * 1024
MAX_ANNOTATION_BYTES = 10 * 1024


class Finding(NamedTuple):
    """A rule that is broken, or that could not be evaluated where that counts as broken."""

    message: str
    reason: str
    place: int = -1


class Judgement(NamedTuple):
    """What is wrong with a write, and what the audit log is to say about it."""

    findings: list[Finding]
    annotations: dict[str, str]


def judge(policy: Policy, known: Known) -> Judgement:
    """Evaluate a policy with one set of parameters."""
    outcome = policy.conditions.evaluate(known)
    if outcome.problems:
        findings = [Finding(", ".join(outcome.problems), "Invalid")] if policy.fails_closed else []
        return Judgement(findings, {})
    if not outcome.holds:
        return Judgement([], {})
    variables = policy.with_variables(known)
    found = (_finding(policy, index, rule, variables) for index, rule in enumerate(policy.rules))
    findings = [finding for finding in found if finding is not None]
    annotations: dict[str, str] = {}
    for key, source in policy.annotations:
        value = variables.evaluate(source)
        if isinstance(value, Failure) and policy.fails_closed:
            findings.append(Finding(f"audit annotation {key!r}: {value.message}".replace("'", '"'), "Invalid"))
        elif isinstance(value, str) and value.strip():
            annotations[f"{policy.name}/{key}"] = value.strip()[:MAX_ANNOTATION_BYTES]
    return Judgement(findings, annotations)


def _finding(policy: Policy, index: int, rule: Rule, variables: Variables) -> Finding | None:
    result = variables.evaluate(rule.program)
    if result is True:
        return None
    reason, expression = rule.validation.reason or "Invalid", rule.validation.expression.strip()
    if isinstance(result, Failure):
        why = f"expression '{expression}' resulted in error: {result.message}"
        return Finding(why, reason, index) if policy.fails_closed else None
    return Finding(_message(rule, variables) or f"failed expression: {expression}", reason, index)


def _message(rule: Rule, variables: Variables) -> str:
    """The message of the expression for it, if that gives one that fits on a line; else the written one."""
    told: Any = variables.evaluate(rule.message) if rule.message is not None else None
    if isinstance(told, str) and not isinstance(told, Failure):
        told = told.strip()
        if told and "\n" not in told and len(told.encode()) <= MAX_MESSAGE_BYTES:
            return str(told)
    return rule.validation.message.strip()
