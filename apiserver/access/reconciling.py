"""What a cluster's own roles and bindings lack of what this version gives them: a cluster lives longer than a version.

Nothing is taken away, and who annotates an object with `rbac.authorization.kubernetes.io/autoupdate: "false"` keeps it
as it is. Kubernetes: RBAC's auto-reconciliation at start. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.access.rbac import covers
from wherry.api.rbac.role import PolicyRule

Draft = dict[str, Any]

AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate"


def completed(there: Mapping[str, Any], wanted: Draft) -> Draft | None:
    """The stored object with what it lacks; None if that is nothing, or its owner will not have it changed."""
    metadata = there["metadata"]
    if (metadata.get("annotations") or {}).get(AUTO_UPDATE) == "false":
        return None
    lacking = {"rules": _missing_rules(there, wanted), "subjects": _missing_subjects(there, wanted)}
    if "aggregationRule" in wanted:  # its rules are added up by a controller
        lacking["rules"] = []
    notes = {field: wanted["metadata"].get(field, {}) for field in ("labels", "annotations")}
    missing_notes = any(name not in (metadata.get(field) or {}) for field, given in notes.items() for name in given)
    if not missing_notes and not any(lacking.values()):
        return None
    told = {field: {**given, **(metadata.get(field) or {})} for field, given in notes.items()}
    more = {field: [*(there.get(field) or ()), *added] for field, added in lacking.items() if added}
    return {**there, "metadata": {**metadata, **told}, **more}


def _missing_rules(there: Mapping[str, Any], wanted: Draft) -> list[Draft]:
    held = [PolicyRule.read(rule) for rule in there.get("rules") or ()]
    return [rule for rule in wanted.get("rules", ()) if not covers(held, PolicyRule.read(rule))]


def _missing_subjects(there: Mapping[str, Any], wanted: Draft) -> list[Draft]:
    if there.get("roleRef", {}).get("name") != wanted.get("roleRef", {}).get("name"):
        return []  # somebody's own binding, which gives other rights than ours
    known = {(each["kind"], each["name"], each.get("namespace", "")) for each in there.get("subjects") or ()}
    given = wanted.get("subjects", ())
    return [each for each in given if (each["kind"], each["name"], each.get("namespace", "")) not in known]
