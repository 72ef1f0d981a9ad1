"""The claims on devices that a pod names, itself or by templates."""

from __future__ import annotations

from wherry.api.core.pod import Pod


def claim_names(pod: Pod) -> dict[str, str | None]:
    """Each use's claim by the use's name: "" if none is needed, None while it is not made yet."""
    made = {status.name: status.resource_claim_name or "" for status in pod.status.resource_claim_statuses}
    return {use.name: use.resource_claim_name or made.get(use.name) for use in pod.spec.resource_claims}
