"""What a container finds when it starts: its command, environment, user and limits.

Every row is a pod that runs to its end; all are created at once, and each test looks at what its own printed.
"""

from typing import Any

import pytest
from live_pods import ENTRY_IMAGE, IMAGE, a_container, a_live_pod, a_script, is_over
from live_rows import Pod, Row, env, field, filled, sees


def entry(**fields: Any) -> Pod:
    return a_live_pod("pod", {"name": "main", "image": ENTRY_IMAGE, **fields})


def resource(name: str, of: str, **more: Any) -> Pod:
    return env(name, resourceFieldRef={"resource": of, **more})


def as_user(script: str, pod: Any = None, **container: Any) -> Pod:
    return a_script("pod", script, container={"securityContext": container}, securityContext=pod or {})


LIMITS = {"limits": {"cpu": "2", "memory": "64Mi"}, "requests": {"cpu": "20m", "memory": "32Mi"}}
UNPRIVILEGED = "ip link add dummy9 type dummy 2>/dev/null && echo made || echo refused"
WRITES = "touch /tmp/x 2>/dev/null && echo writes || echo refused"
COMMAND = ["/bin/printf", "[%s]\n"]

ROWS = [
    Row("neither command nor args", entry(), "entry\ndefault\n"),
    Row("args", entry(args=["given", "two"]), "entry\ngiven\ntwo\n"),
    Row("command", entry(command=[*COMMAND, "own"]), "[own]\n"),
    Row("command and args", entry(command=COMMAND, args=["a", "b"]), "[a]\n[b]\n"),
    Row("working directory and user of the image", entry(command=["sh", "-c", "pwd; id -u"]), "/bin\n65534\n"),
    Row("another working directory", entry(command=["pwd"], workingDir="/new/place"), "/new/place\n"),
    Row(
        "composed environment",
        sees(
            "echo $C",
            {"name": "A", "value": "a"},
            {"name": "B", "value": "b"},
            {"name": "C", "value": "$(A);;$(B);$$(A);$(NONE)"},
        ),
        "a;;b;$(A);$(NONE)\n",
    ),
    Row(
        "expansion in args",
        a_live_pod(
            "pod",
            {
                "name": "main",
                "image": IMAGE,
                "command": ["echo"],
                "args": ["$(A)", "$$(A)", "$(NONE)"],
                "env": [{"name": "A", "value": "a b"}],
            },
        ),
        "a b $(A) $(NONE)\n",
    ),
    Row(
        "expansion in command",
        a_live_pod(
            "pod", {"name": "main", "image": IMAGE, "command": ["echo", "$(A)"], "env": [{"name": "A", "value": "a"}]}
        ),
        "a\n",
    ),
    Row(
        "keys",
        sees(
            "echo $A $B $C",
            env("A", configMapKeyRef={"name": "settings", "key": "one"}),
            env("B", secretKeyRef={"name": "keys", "key": "one"}),
            env("C", secretKeyRef={"name": "none", "key": "one", "optional": True}),
        ),
        "1 s1\n",
    ),
    Row(
        "all keys",
        sees(
            "env | grep -E '^(p_)?(one|two)=' | sort",
            envFrom=[{"configMapRef": {"name": "settings"}}, {"prefix": "p_", "secretRef": {"name": "keys"}}],
        ),
        "one=1\np_one=s1\np_two=s2\ntwo=2\n",
    ),
    Row(
        "odd prefixes",
        sees(
            "tr '\\0' '\\n' < /proc/1/environ | grep K-- | sort",
            envFrom=[{"prefix": "K--.%{'", "secretRef": {"name": "keys"}}],
        ),
        "K--.%{'one=s1\nK--.%{'two=s2\n",
    ),
    Row(
        "limits",
        sees(
            "echo $A $B $C $D",
            resource("A", "limits.cpu"),
            resource("B", "requests.cpu", divisor="1m"),
            resource("C", "limits.memory", divisor="1Mi"),
            resource("D", "requests.memory"),
            resources=LIMITS,
        ),
        "2 20 64 33554432\n",
    ),
    Row(
        "limits of the node",
        sees(
            "test $A -ge 1 && test $B -ge 100000000 && echo plausible",
            resource("A", "limits.cpu"),
            resource("B", "limits.memory"),
        ),
        "plausible\n",
    ),
    Row(
        "addresses",
        sees(
            'test -n "$A" && test "$A" = "$B" && test $(hostname -i) = $C && test $C = $D && echo fine',
            field("A", "status.hostIP"),
            field("B", "status.hostIPs"),
            field("C", "status.podIP"),
            field("D", "status.podIPs"),
        ),
        "fine\n",
    ),
    Row(
        "the pod itself",
        sees(
            "echo $N $S $A $L $O; test ${#U} = 36 && test $N = $H",
            field("N", "metadata.name"),
            field("S", "metadata.namespace"),
            field("A", "spec.serviceAccountName"),
            field("U", "metadata.uid"),
            field("L", "metadata.labels['colour']"),
            field("O", "spec.nodeName"),
            field("H", "metadata.name"),
        ),
        "{name} {namespace} default blue {node}\n",
    ),
    Row(
        "the service of the API",
        sees("echo $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT $KUBERNETES_SERVICE_PORT_HTTPS $KUBERNETES_PORT"),
        "{api} 443 443 tcp://{api}:443\n",
    ),
    Row(
        "no services wanted",
        a_script("pod", "echo $SHOP_SERVICE_HOST:${KUBERNETES_SERVICE_HOST:+there}", enableServiceLinks=False),
        ":there\n",
    ),
    Row(
        "services",
        sees(
            "echo $SHOP_SERVICE_HOST $SHOP_SERVICE_PORT $SHOP_PORT $SHOP_PORT_8765_TCP "
            "$SHOP_PORT_8765_TCP_PROTO $SHOP_PORT_8765_TCP_PORT $SHOP_PORT_8765_TCP_ADDR"
        ),
        "{shop} 8765 tcp://{shop}:8765 tcp://{shop}:8765 tcp 8765 {shop}\n",
    ),
    Row("user and group of the container", as_user("id -u; id -g", runAsUser=1001, runAsGroup=2002), "1001\n2002\n"),
    Row(
        "user and group of the pod",
        as_user("id -u; id -g", {"runAsUser": 1001, "runAsGroup": 2002}),
        "1001\n2002\n",
    ),
    Row(
        "the container's user wins",
        as_user("id -u; id -G", {"runAsUser": 1001, "supplementalGroups": [7, 8]}, runAsUser=65534),
        "65534\n65534 7 8\n",
    ),
    Row("unprivileged", as_user(UNPRIVILEGED, privileged=False), "refused\n"),
    Row("root file system for reading", as_user(WRITES, readOnlyRootFilesystem=True), "refused\n"),
    Row("root file system for writing", as_user(WRITES, readOnlyRootFilesystem=False), "writes\n"),
    Row(
        "no more privileges",
        as_user("grep NoNewPrivs /proc/self/status", allowPrivilegeEscalation=False),
        "NoNewPrivs:\t1\n",
    ),
    Row(
        "capabilities",
        as_user("grep CapEff /proc/self/status", capabilities={"drop": ["ALL"], "add": ["CHOWN"]}),
        "CapEff:\t0000000000000001\n",
    ),
    Row(
        "sysctl",
        as_user(
            "cat /proc/sys/kernel/shm_rmid_forced", {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}
        ),
        "1\n",
    ),
    Row("a command that fails", a_script("pod", "echo so; exit 3"), "so\n", "Failed"),
    Row(
        "init containers",
        a_live_pod(
            "pod",
            a_container("main", "cat /v/f", volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            initContainers=[
                a_container(name, f"echo {name} >> /v/f", volumeMounts=[{"name": "v", "mountPath": "/v"}])
                for name in ("first", "second")
            ],
            volumes=[{"name": "v", "emptyDir": {}}],
        ),
        "first\nsecond\n",
    ),
    Row(
        "limits of a cgroup",
        sees(
            "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || true",
            resources=LIMITS,
        ),
        "67108864\n",
    ),
    Row(
        "shared process namespace",
        a_live_pod(
            "pod",
            a_container("main", "until ps | grep -q '[s]leep 31'; do sleep 0.1; done; echo seen"),
            a_container("other", "sleep 31 & sleep 2"),
            shareProcessNamespace=True,
        ),
        "seen\n",
    ),
]


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row.says for row in ROWS])
def test_a_container_sees(started, words, number):
    row = ROWS[number]

    pod = started.until("Pod", f"row-{number}", is_over)

    assert started.logs(f"row-{number}", container="main") == filled(row.expected, words | {"name": f"row-{number}"})
    assert pod["status"]["phase"] == row.phase
