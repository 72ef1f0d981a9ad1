"""Between the kubelet's values and Docker's JSON: pure, so what Docker is told can be read and tested without Docker.

Ownership is by labels. Docker has no word for a pod; the labels are all that a restarted kubelet knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kubelet.runtime.base import (
    ContainerRecord,
    ContainerSpec,
    Image,
    Limits,
    Mount,
    PodKey,
    Sandbox,
    SandboxSpec,
    State,
    Usage,
)
from wherry.machinery.time import parse_time

CLUSTER, NODE, ROLE = "io.wherry.cluster", "io.wherry.node", "io.wherry.role"
ATTEMPT, SPEC_HASH, DELAY = "io.wherry.attempt", "io.wherry.spec-hash", "io.wherry.restart-delay"
SANDBOX_ID, GPUS, MESSAGE_FILE = "io.wherry.sandbox", "io.wherry.gpus", "io.wherry.message-file"
POD_NAMESPACE, POD_NAME = "io.kubernetes.pod.namespace", "io.kubernetes.pod.name"
POD_UID, CONTAINER_NAME = "io.kubernetes.pod.uid", "io.kubernetes.container.name"

# What runc and containerd answer for a command that cannot be started. Kubernetes: StartError.
START_ERROR_EXIT_CODE = 128

Json = dict[str, Any]
_LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}


def owner_labels(cluster: str, node: str) -> dict[str, str]:
    """The labels by which this node knows its own."""
    return {CLUSTER: cluster, NODE: node}


def container_name(node: str, role: str, pod: PodKey, attempt: int) -> str:
    """A name that two attempts never share, so that a repeated create cannot double a container."""
    return f"wherry_{node}_{role}_{pod.name}_{pod.namespace}_{pod.uid[:8]}_{attempt}"


def _pod_labels(pod: PodKey) -> dict[str, str]:
    return {POD_NAMESPACE: pod.namespace, POD_NAME: pod.name, POD_UID: pod.uid}


def sandbox_body(spec: SandboxSpec, owner: Mapping[str, str]) -> Json:
    """The body of Docker's create call for a sandbox."""
    labels = {**owner, **_pod_labels(spec.pod), ROLE: "sandbox", ATTEMPT: str(spec.attempt)}
    host: Json = {
        "NetworkMode": spec.network,
        "IpcMode": "host" if spec.uses_host_ipc else "shareable",
        "OomScoreAdj": -998,
        "LogConfig": _LOGS,
        "SecurityOpt": ["no-new-privileges"],
        "Sysctls": dict(spec.sysctls),
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "CpuShares": 2,
    }
    if spec.uses_host_pid:
        host["PidMode"] = "host"
    exposed: Json = {}
    bindings: dict[str, list[Json]] = {}
    for port in spec.ports:
        key = f"{port.container_port}/{port.protocol}"
        exposed[key] = {}
        bindings.setdefault(key, []).append({"HostIp": port.host_ip, "HostPort": str(port.host_port)})
    host["PortBindings"] = bindings
    body: Json = {
        "Image": spec.image,
        "Entrypoint": list(spec.command),
        "Cmd": [],
        "Labels": labels,
        "HostConfig": host,
    }
    body |= {"ExposedPorts": exposed, "StopSignal": "SIGTERM"}
    if spec.hostname and spec.network != "host":
        body["Hostname"] = spec.hostname
    return body


def container_body(spec: ContainerSpec, owner: Mapping[str, str]) -> Json:
    """The body of Docker's create call for a container."""
    body: Json = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in spec.env],
        "WorkingDir": spec.working_dir,
        "Labels": {**owner, **_container_labels(spec)},
        "User": spec.security.user,
        "Tty": spec.tty,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _container_host(spec),
    }
    if spec.command:
        body["Entrypoint"] = list(spec.command)
    if spec.args or spec.command:
        body["Cmd"] = list(spec.args)
    if spec.stop_signal:
        body["StopSignal"] = spec.stop_signal
    return body


def _container_labels(spec: ContainerSpec) -> dict[str, str]:
    labels = {**_pod_labels(spec.pod), ROLE: "container", CONTAINER_NAME: spec.name, ATTEMPT: str(spec.attempt)}
    labels |= {SANDBOX_ID: spec.sandbox_id, SPEC_HASH: spec.spec_hash, DELAY: str(spec.restart_delay_seconds)}
    labels |= {MESSAGE_FILE: spec.message_file} if spec.message_file else {}
    return labels | ({GPUS: ",".join(spec.gpu_ids)} if spec.gpu_ids else {})


def _container_host(spec: ContainerSpec) -> Json:
    joined = f"container:{spec.sandbox_id}"
    security, limits = spec.security, spec.limits
    host: Json = {
        "NetworkMode": joined,
        "IpcMode": joined,
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "LogConfig": _LOGS,
        "CpuShares": limits.cpu_shares,
        "NanoCpus": limits.cpu_nanos,
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,  # as much as memory: no swap
        "OomScoreAdj": limits.oom_score_adjust,
        "Privileged": security.is_privileged,
        "ReadonlyRootfs": security.is_root_read_only,
        "CapAdd": list(security.added_capabilities),
        "CapDrop": list(security.dropped_capabilities),
        "GroupAdd": list(security.groups),
    }
    if spec.pid_namespace:
        modes = {"sandbox": joined, "host": "host"}
        host["PidMode"] = modes.get(spec.pid_namespace, f"container:{spec.pid_namespace}")
    options = [] if security.may_gain_privileges else ["no-new-privileges"]
    host["SecurityOpt"] = options + ([f"seccomp={security.seccomp}"] if security.seccomp else [])
    if cards := [*spec.gpu_ids, *spec.watched_gpu_ids]:
        host["DeviceRequests"] = [{"Driver": "nvidia", "DeviceIDs": cards, "Capabilities": [["gpu"]]}]
    return host


def _mount(mount: Mount) -> Json:
    body: Json = {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": mount.is_read_only}
    # Where nothing is asked for, the engine chooses "rprivate", but for folders around its own data, which demand more.
    return body if mount.propagation == "rprivate" else body | {"BindOptions": {"Propagation": mount.propagation}}


def sandbox_of(inspected: Json) -> Sandbox:
    """A sandbox from Docker's inspect answer."""
    labels = inspected["Config"]["Labels"]
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    ip = next((network["IPAddress"] for network in networks.values() if network.get("IPAddress")), "")
    state = _state(inspected["State"])
    return Sandbox(inspected["Id"], _pod_key(labels), int(labels[ATTEMPT]), state, parse_time(inspected["Created"]), ip)


def record_of(inspected: Json) -> ContainerRecord:
    """A container from Docker's inspect answer."""
    labels, state, created_at = inspected["Config"]["Labels"], inspected["State"], parse_time(inspected["Created"])
    could_not_start = state["Status"] == "created" and bool(state.get("Error"))
    started_at, finished_at = _instant(state.get("StartedAt")), _instant(state.get("FinishedAt"))
    if could_not_start:
        finished_at = created_at
    if started_at and finished_at:
        started_at = min(started_at, finished_at)  # Docker notes the end of a quick process before its start
    return ContainerRecord(
        id=inspected["Id"],
        pod=_pod_key(labels),
        name=labels[CONTAINER_NAME],
        attempt=int(labels[ATTEMPT]),
        state=State.EXITED if could_not_start else _state(state),
        created_at=created_at,
        sandbox_id=labels.get(SANDBOX_ID, ""),
        started_at=started_at,
        finished_at=finished_at,
        exit_code=START_ERROR_EXIT_CODE if could_not_start else int(state.get("ExitCode") or 0),
        is_oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "" if could_not_start else "",
        image=inspected["Config"].get("Image", ""),
        image_id=inspected.get("Image", ""),
        spec_hash=labels.get(SPEC_HASH, ""),
        restart_delay_seconds=int(labels.get(DELAY) or 0),
        message_file=labels.get(MESSAGE_FILE, ""),
        stop_signal=inspected["Config"].get("StopSignal") or "",
        gpu_ids=tuple(filter(None, labels.get(GPUS, "").split(","))),
        tty=bool(inspected["Config"].get("Tty")),
        limits=_limits_of(inspected.get("HostConfig") or {}),
    )


def _limits_of(host: Json) -> Limits:
    cpu, memory = int(host.get("NanoCpus") or 0), int(host.get("Memory") or 0)
    return Limits(int(host.get("CpuShares") or 0), cpu, memory, int(host.get("OomScoreAdj") or 0))


def resize_body(limits: Limits) -> Json:
    """The body of Docker's update call; a bound that is not there stays away, since 0 would mean no change."""
    memory = {"Memory": limits.memory_bytes, "MemorySwap": limits.memory_bytes} if limits.memory_bytes else {}
    return {"CpuShares": limits.cpu_shares} | ({"NanoCpus": limits.cpu_nanos} if limits.cpu_nanos else {}) | memory


def image_of(inspected: Json) -> Image:
    """An image from Docker's inspect or list answer."""
    names = tuple(name for name in inspected.get("RepoTags") or () if name != "<none>:<none>")
    digests = tuple(digest for digest in inspected.get("RepoDigests") or () if not digest.startswith("<none>"))
    user = (inspected.get("Config") or {}).get("User") or ""
    return Image(inspected["Id"], names, digests, int(inspected.get("Size") or 0), user)


def usage_of(stats: Json) -> Usage | None:
    """What a container has used, from Docker's stats; None when it does not run."""
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return Usage(int(stats["cpu_stats"]["cpu_usage"]["total_usage"]), max(0, int(memory["usage"]) - int(cache)))


def _pod_key(labels: Mapping[str, str]) -> PodKey:
    return PodKey(labels[POD_NAMESPACE], labels[POD_NAME], labels[POD_UID])


def _state(state: Json) -> State:
    if state["Status"] == "created":
        return State.CREATED
    return State.RUNNING if state["Status"] in ("running", "paused", "restarting") else State.EXITED


def _instant(text: str | None) -> datetime | None:
    # Docker writes year 1 for "never".
    return None if not text or text.startswith("0001-") else parse_time(text).astimezone(UTC)
