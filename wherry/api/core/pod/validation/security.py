"""Security contexts of pods and containers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wherry.api.core.pod.container import SeccompProfile, SecurityContext
from wherry.api.core.pod.spec import PodSpec, Sysctl
from wherry.api.core.pod.validation.paths import check_descending
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid, not_supported, required, too_long
from wherry.machinery.validation import MAX_INT32, in_range, under

PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = re.compile(rf"^({_SEGMENT}[\./])*{_SEGMENT}$")
_MAX_SYSCTL = 253
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "fs.mqueue.")
_MAX_PROFILE = 4095  # PATH_MAX - 1


def check_container_security(context: SecurityContext, has_host_users: bool) -> Iterator[FieldError]:
    """The security context of one container."""
    yield from _check_ids(context.run_as_user, context.run_as_group)
    if context.proc_mount:
        if context.proc_mount not in ("Default", "Unmasked"):
            yield not_supported("procMount", context.proc_mount, ("Default", "Unmasked"))
        if has_host_users and context.proc_mount == "Unmasked":
            yield invalid("procMount", context.proc_mount, "`hostUsers` must be false to use `Unmasked`")
    yield from _check_profiles(context.seccomp_profile, context.app_armor_profile)
    if context.allow_privilege_escalation is False:
        yield from _check_no_escalation(context)


def _check_no_escalation(context: SecurityContext) -> Iterator[FieldError]:
    shown = context.to_wire()
    if context.privileged:
        yield invalid("", shown, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
    if context.capabilities and "CAP_SYS_ADMIN" in context.capabilities.add:
        yield invalid("", shown, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")


def check_pod_security(spec: PodSpec) -> Iterator[FieldError]:
    """The security context of the pod; paths begin there."""
    context = spec.security_context
    if context.fs_group is not None:
        yield from in_range("fsGroup", context.fs_group, 0, MAX_INT32)
    yield from _check_ids(context.run_as_user, context.run_as_group)
    for index, group in enumerate(context.supplemental_groups):
        yield from in_range(f"supplementalGroups[{index}]", group, 0, MAX_INT32)
    if spec.share_process_namespace and spec.host_pid:
        yield invalid("shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled")
    yield from _check_sysctls(context.sysctls, spec)
    yield from _check_choice("fsGroupChangePolicy", context.fs_group_change_policy, "OnRootMismatch", "Always")
    yield from _check_profiles(context.seccomp_profile, context.app_armor_profile)
    yield from _check_choice("supplementalGroupsPolicy", context.supplemental_groups_policy, "Merge", "Strict")
    yield from _check_choice("seLinuxChangePolicy", context.se_linux_change_policy, "MountOption", "Recursive")


def check_host_namespaces(spec: PodSpec) -> Iterator[FieldError]:
    """A pod with users of its own shares no other namespace with the host."""
    if spec.host_users is False:
        for field, is_shared in (
            ("hostNetwork", spec.host_network),
            ("HostPID", spec.host_pid),
            ("HostIPC", spec.host_ipc),
        ):
            if is_shared:
                yield forbidden(field, "when `pod.Spec.HostUsers` is false")


def _check_ids(user: int | None, group: int | None) -> Iterator[FieldError]:
    if user is not None:
        yield from in_range("runAsUser", user, 0, MAX_INT32)
    if group is not None:
        yield from in_range("runAsGroup", group, 0, MAX_INT32)


def _check_choice(field: str, value: str | None, *choices: str) -> Iterator[FieldError]:
    if value is not None and value not in choices:
        yield not_supported(field, value, choices)


def _check_profiles(seccomp: SeccompProfile | None, app_armor: SeccompProfile | None) -> Iterator[FieldError]:
    if seccomp:
        yield from under("seccompProfile", _check_seccomp(seccomp))
    if app_armor:
        yield from under("appArmorProfile", _check_app_armor(app_armor))


def _check_seccomp(profile: SeccompProfile) -> Iterator[FieldError]:
    yield from _check_profile_type(profile, "seccompProfile")
    if profile.type != "Localhost":
        if profile.localhost_profile:
            yield invalid("localhostProfile", profile.to_wire(), "can only be set when seccomp type is Localhost")
    elif not profile.localhost_profile:
        yield required("localhostProfile", "must be set when seccomp type is Localhost")
    else:
        yield from check_descending("localhostProfile", profile.localhost_profile)


def _check_app_armor(profile: SeccompProfile) -> Iterator[FieldError]:
    yield from _check_profile_type(profile, "appArmorProfile")
    name = profile.localhost_profile
    if profile.type != "Localhost":
        if name:
            yield invalid("localhostProfile", name, "can only be set when AppArmor type is Localhost")
    elif not name:
        yield required("localhostProfile", "must be set when AppArmor type is Localhost")
    elif name.strip() != name:
        yield invalid("localhostProfile", name, "must not be padded with whitespace")
    elif len(name) > _MAX_PROFILE:
        yield too_long("localhostProfile", _MAX_PROFILE)


def _check_profile_type(profile: SeccompProfile, field: str) -> Iterator[FieldError]:
    if not profile.type:
        yield required("type", f"type is required when {field} is set")
    elif profile.type not in PROFILE_TYPES:
        yield not_supported("type", profile.type, PROFILE_TYPES)


def _check_sysctls(sysctls: tuple[Sysctl, ...], spec: PodSpec) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        field, name = f"sysctls[{index}].name", sysctl.name
        if not name:
            yield required(field)
        elif len(name) > _MAX_SYSCTL or not _SYSCTL.fullmatch(name):
            yield invalid(field, name, f"must have at most {_MAX_SYSCTL} characters and match regex {_SYSCTL.pattern}")
        elif name in seen:
            yield duplicate(field, name)
        seen.add(name)
        dotted = name.replace("/", ".")
        if spec.host_network and dotted.startswith("net."):
            yield invalid(field, name, "may not be specified when 'hostNetwork' is true")
        if spec.host_ipc and (dotted == "kernel.sem" or dotted.startswith(_IPC_SYSCTLS)):
            yield invalid(field, name, "may not be specified when 'hostIPC' is true")
