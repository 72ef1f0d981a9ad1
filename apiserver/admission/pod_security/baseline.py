"""The baseline: nothing by which a pod gets hold of its node. Kubernetes: the checks of level baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.admission.pod_security.checks import Finding, Json, PodLook, check, containers, plural, quoted

_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
_SYSCTLS = frozenset(
    {
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"),
        *("net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"),
    }
)
_KEEPALIVE = {
    f"net.ipv4.tcp_{name}" for name in ("keepalive_time", "fin_timeout", "keepalive_intvl", "keepalive_probes")
}
_SYSCTLS_27 = _SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_29 = _SYSCTLS_27 | _KEEPALIVE
_SYSCTLS_32 = _SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
PROFILES = ("Localhost", "RuntimeDefault")


@check("baseline", "appArmorProfile")
def app_armor(pod: PodLook) -> Finding | None:
    """The engine's profile, or one of the node."""
    who, bad = pod.setters("appArmorProfile", lambda profile: bool(profile) and profile.get("type") not in PROFILES)
    values = {str(profile.get("type", "")) for profile in bad}
    told = [
        f'{key}="{value}"'
        for key, value in sorted(pod.annotations.items())
        if key.startswith(_APP_ARMOR) and not _is_app_armor(value)
    ]
    if told:
        who.append(f"{plural('annotation', 'annotations', len(told))} {', '.join(told)}")
        values |= {text.partition("=")[2].strip('"') for text in told}
    if not who:
        return None
    reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", len(values))
    return Finding(reason, f"{' and '.join(who)} must not set AppArmor profile type to {quoted(sorted(values))}")


def _is_app_armor(profile: str) -> bool:
    return profile in ("", "runtime/default") or profile.startswith("localhost/")


@check("baseline", "capabilities_baseline")
def capabilities(pod: PodLook) -> Finding | None:
    """No capabilities beyond what engines give anyway."""
    bad: set[str] = set()

    def adds_more(context: Json) -> bool:
        added = set((context.get("capabilities") or {}).get("add") or ()) - _CAPABILITIES
        bad.update(added)
        return bool(added)

    named = pod.named(adds_more)
    if not named:
        return None
    detail = f"{containers(named)} must not include {quoted(sorted(bad))} in securityContext.capabilities.add"
    return Finding("non-default capabilities", detail)


@check("baseline", "hostNamespaces")
def host_namespaces(pod: PodLook) -> Finding | None:
    """Its own network, processes and shared memory."""
    shared = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(field)]
    return Finding("host namespaces", ", ".join(shared)) if shared else None


@check("baseline", "hostPathVolumes")
def host_paths(pod: PodLook) -> Finding | None:
    """No folders of the node."""
    named = [str(volume.get("name", "")) for volume in pod.spec.get("volumes") or () if "hostPath" in volume]
    if not named:
        return None
    return Finding("hostPath volumes", f"{plural('volume', 'volumes', len(named))} {quoted(named)}")


@check("baseline", "hostPorts")
def host_ports(pod: PodLook) -> Finding | None:
    """No ports of the node."""
    ports = {
        str(each.get("name", "")): [p["hostPort"] for p in each.get("ports") or () if p.get("hostPort")]
        for each in pod.containers
    }
    named = [name for name, taken in ports.items() if taken]
    if not named:
        return None
    taken = sorted({str(port) for name in named for port in ports[name]})
    uses, word = plural("uses", "use", len(named)), plural("hostPort", "hostPorts", len(taken))
    return Finding(word, f"{containers(named)} {uses} {word} {', '.join(taken)}")


@check("baseline", "hostProbesAndHostLifecycle", since=34)
def hosts_of_probes(pod: PodLook) -> Finding | None:
    """Probes and hooks ask the pod itself."""
    hosts = {str(each.get("name", "")): sorted(set(_hosts(each))) for each in pod.containers}
    named = sorted(name for name, asked in hosts.items() if asked)
    if not named:
        return None
    asked = sorted({host for name in named for host in hosts[name]})
    word = plural("probe or lifecycle host", "probe or lifecycle hosts", len(asked))
    uses = plural("uses", "use", len(named))
    return Finding("probe or lifecycle host", f"{containers(named)} {uses} {word} {quoted(asked)}")


def _hosts(container: Json) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    probes = [container.get(field) or {} for field in ("livenessProbe", "readinessProbe", "startupProbe")]
    for action in (*probes, lifecycle.get("postStart") or {}, lifecycle.get("preStop") or {}):
        for field in ("httpGet", "tcpSocket"):
            host = (action.get(field) or {}).get("host")
            if host:
                yield host


@check("baseline", "privileged")
def privileged(pod: PodLook) -> Finding | None:
    """No privileged containers."""
    named = pod.named(lambda context: bool(context.get("privileged")))
    return Finding("privileged", f"{containers(named)} must not set securityContext.privileged=true") if named else None


@check("baseline", "procMount")
def proc_mount(pod: PodLook) -> Finding | None:
    """The usual view of the kernel."""
    bad: set[str] = set()

    def is_unusual(context: Json) -> bool:
        mount = context.get("procMount") or "Default"
        if mount != "Default":
            bad.add(mount)
        return bool(mount != "Default")

    named = pod.named(is_unusual)
    if not named or pod.has_own_users:
        return None
    return Finding("procMount", f"{containers(named)} must not set securityContext.procMount to {quoted(sorted(bad))}")


def _selinux(pod: PodLook, types: frozenset[str]) -> Finding | None:
    def is_bad(options: Any) -> bool:
        return bool(options) and (
            options.get("type", "") not in types or bool(options.get("user")) or bool(options.get("role"))
        )

    who, bad = pod.setters("seLinuxOptions", is_bad)
    if not who:
        return None
    found = sorted({options.get("type", "") for options in bad} - types)
    told = [f"{plural('type', 'types', len(found))} {quoted(found)}"] if found else []
    told += ["user may not be set"] if any(options.get("user") for options in bad) else []
    told += ["role may not be set"] if any(options.get("role") for options in bad) else []
    detail = f"{' and '.join(who)} set forbidden securityContext.seLinuxOptions: {'; '.join(told)}"
    return Finding("seLinuxOptions", detail)


@check("baseline", "seLinuxOptions")
def selinux(pod: PodLook) -> Finding | None:
    """The types that are made for containers."""
    return _selinux(pod, _SELINUX_TYPES)


@check("baseline", "seLinuxOptions", since=31)
def selinux_31(pod: PodLook) -> Finding | None:
    """Engines inside containers have a type of their own."""
    return _selinux(pod, _SELINUX_TYPES | {"container_engine_t"})


@check("baseline", "seccompProfile_baseline")
def seccomp_annotations(pod: PodLook) -> Finding | None:
    """Before there were fields there were annotations."""
    wanted = [_SECCOMP_POD, *(f"{_SECCOMP_CONTAINER}{each.get('name', '')}" for each in pod.containers)]
    told = {key: pod.annotations[key] for key in wanted if key in pod.annotations}
    bad = sorted(f'{key}="{value}"' for key, value in told.items() if not _is_seccomp_annotation(value))
    if not bad:
        return None
    return Finding("seccompProfile", f"forbidden {plural('annotation', 'annotations', len(bad))} {', '.join(bad)}")


def _is_seccomp_annotation(profile: str) -> bool:
    return profile in ("runtime/default", "docker/default") or profile.startswith("localhost/")


@check("baseline", "seccompProfile_baseline", since=19)
def seccomp(pod: PodLook) -> Finding | None:
    """Nobody does without a profile on purpose."""
    who, bad = pod.setters("seccompProfile", lambda profile: bool(profile) and profile.get("type") not in PROFILES)
    if not who:
        return None
    types = quoted(sorted({profile.get("type", "") for profile in bad}))
    return Finding("seccompProfile", f"{' and '.join(who)} must not set securityContext.seccompProfile.type to {types}")


def _sysctls(pod: PodLook, allowed: frozenset[str]) -> Finding | None:
    named = [each.get("name", "") for each in pod.context.get("sysctls") or ()]
    bad = [name for name in named if name not in allowed]
    return Finding("forbidden sysctls", ", ".join(bad)) if bad else None


@check("baseline", "sysctls")
def sysctls(pod: PodLook) -> Finding | None:
    """Kernel parameters that are the pod's own."""
    return _sysctls(pod, _SYSCTLS)


@check("baseline", "sysctls", since=27)
def sysctls_27(pod: PodLook) -> Finding | None:
    """And reserved ports."""
    return _sysctls(pod, _SYSCTLS_27)


@check("baseline", "sysctls", since=29)
def sysctls_29(pod: PodLook) -> Finding | None:
    """And keeping connections alive."""
    return _sysctls(pod, _SYSCTLS_29)


@check("baseline", "sysctls", since=32)
def sysctls_32(pod: PodLook) -> Finding | None:
    """And buffers of connections."""
    return _sysctls(pod, _SYSCTLS_32)


@check("baseline", "windowsHostProcess")
def windows_host_process(pod: PodLook) -> Finding | None:
    """No processes of the node."""
    who, _ = pod.setters("windowsOptions", lambda options: bool(options) and bool(options.get("hostProcess")))
    if not who:
        return None
    return Finding("hostProcess", f"{' and '.join(who)} must not set securityContext.windowsOptions.hostProcess=true")
