"""Restricted: as little as a pod can do with. Kubernetes: the checks of level restricted."""

from __future__ import annotations

from apiserver.admission.pod_security.baseline import PROFILES
from apiserver.admission.pod_security.checks import Finding, Json, PodLook, check, containers, plural, quoted

_VOLUMES = frozenset(
    {
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
        "image",
    }
)


@check("restricted", "allowPrivilegeEscalation", since=8)
def escalation(pod: PodLook) -> Finding | None:
    """No process gains more rights than its parent has."""
    named = pod.named(lambda context: context.get("allowPrivilegeEscalation") is not False)
    if not named:
        return None
    detail = f"{containers(named)} must set securityContext.allowPrivilegeEscalation=false"
    return Finding("allowPrivilegeEscalation != false", detail)


@check("restricted", "allowPrivilegeEscalation", since=25)
def escalation_25(pod: PodLook) -> Finding | None:
    """Windows has no such thing."""
    return None if pod.is_windows else escalation(pod)


@check("restricted", "capabilities_restricted", since=22, instead_of="capabilities_baseline")
def capabilities(pod: PodLook) -> Finding | None:
    """All capabilities are dropped; low ports may be had."""
    bad: set[str] = set()

    def adds(context: Json) -> bool:
        added = set((context.get("capabilities") or {}).get("add") or ()) - {"NET_BIND_SERVICE"}
        bad.update(added)
        return bool(added)

    keeping = pod.named(lambda context: "ALL" not in ((context.get("capabilities") or {}).get("drop") or ()))
    adding = pod.named(adds)
    told = [f'{containers(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if adding:
        told.append(f"{containers(adding)} must not include {quoted(sorted(bad))} in securityContext.capabilities.add")
    return Finding("unrestricted capabilities", "; ".join(told)) if told else None


@check("restricted", "capabilities_restricted", since=25, instead_of="capabilities_baseline")
def capabilities_25(pod: PodLook) -> Finding | None:
    """Windows has no such thing."""
    return None if pod.is_windows else capabilities(pod)


@check("restricted", "restrictedVolumes", instead_of="hostPathVolumes")
def volumes(pod: PodLook) -> Finding | None:
    """Volumes whose data is the cluster's business."""
    kinds = {
        str(volume.get("name", "")): next((key for key in volume if key != "name"), "unknown")
        for volume in pod.spec.get("volumes") or ()
    }
    bad = {name: kind for name, kind in kinds.items() if kind not in _VOLUMES}
    if not bad:
        return None
    types = sorted(set(bad.values()))
    named = f"{plural('volume', 'volumes', len(bad))} {quoted(bad)} {plural('uses', 'use', len(bad))}"
    word = plural("restricted volume type", "restricted volume types", len(types))
    return Finding("restricted volume types", f"{named} {word} {quoted(types)}")


@check("restricted", "runAsNonRoot")
def non_root(pod: PodLook) -> Finding | None:
    """Nobody is root, and the pod says so."""
    if pod.has_own_users:
        return None
    who, _ = pod.setters("runAsNonRoot", lambda value: value is False)
    if who:
        return Finding("runAsNonRoot != true", f"{' and '.join(who)} must not set securityContext.runAsNonRoot=false")
    silent = [] if pod.context.get("runAsNonRoot") else pod.named(lambda context: context.get("runAsNonRoot") is None)
    if not silent:
        return None
    return Finding("runAsNonRoot != true", f"pod or {containers(silent)} must set securityContext.runAsNonRoot=true")


@check("restricted", "runAsUser", since=23)
def user(pod: PodLook) -> Finding | None:
    """Nobody is user 0."""
    if pod.has_own_users:
        return None
    who, _ = pod.setters("runAsUser", lambda value: value == 0 and value is not False)
    return Finding("runAsUser=0", f"{' and '.join(who)} must not set runAsUser=0") if who else None


@check("restricted", "seccompProfile_restricted", since=19, instead_of="seccompProfile_baseline")
def seccomp(pod: PodLook) -> Finding | None:
    """Everybody has a profile."""
    who, bad = pod.setters("seccompProfile", lambda profile: bool(profile) and profile.get("type") not in PROFILES)
    if who:
        types = quoted(sorted({profile.get("type", "") for profile in bad}))
        detail = f"{' and '.join(who)} must not set securityContext.seccompProfile.type to {types}"
        return Finding("seccompProfile", detail)
    silent = [] if pod.context.get("seccompProfile") else pod.named(lambda context: not context.get("seccompProfile"))
    if not silent:
        return None
    wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Finding("seccompProfile", f"pod or {containers(silent)} {wanted}")


@check("restricted", "seccompProfile_restricted", since=25, instead_of="seccompProfile_baseline")
def seccomp_25(pod: PodLook) -> Finding | None:
    """Windows has no such thing."""
    return None if pod.is_windows else seccomp(pod)
