"""The files a container finds: hosts, resolv.conf, emptyDirs, sub-paths, its token.

Every row is a pod that runs to its end; all are created at once, and each test looks at what its own printed.
"""

import pytest
from live_pods import a_container, a_live_pod, a_script, is_over
from live_rows import Row, field, filled, mounting, sees


def empty(medium: str, mode: str, user: int) -> Row:
    script = f"umask 0; echo hi > /v/f; chmod {mode} /v/f; stat -c '%a %u' /v/f; cat /v/f; stat -f -c %T /v"
    script = script.replace("%T /v", "%T /v | sed s/tmpfs/Memory/ | grep -x Memory || true")
    pod = mounting(script, {"emptyDir": {"medium": medium}}, {"mountPath": "/v"}, securityContext={"runAsUser": user})
    expected = f"{mode} {user}\nhi\n" + ("Memory\n" if medium else "")
    return Row(f"emptyDir '{medium}', {mode}, user {user}", pod, expected)


ROWS = [
    Row(
        "host name",
        a_script(
            "pod",
            "hostname; hostname -f; grep -c db.example /etc/hosts; head -1 /etc/hosts; "
            "test -f /etc/hosts && grep $(hostname -i) /etc/hosts | cut -f2-",
            hostname="front",
            subdomain="web",
            hostAliases=[{"ip": "1.2.3.4", "hostnames": ["db.example", "db"]}],
        ),
        "front\nfront.web.{namespace}.svc.cluster.local\n1\n# Kubernetes-managed hosts file.\n"
        "front.web.{namespace}.svc.cluster.local\tfront\n",
    ),
    Row(
        "a hosts file of its own",
        mounting("cat /etc/hosts", {"configMap": {"name": "settings"}}, {"mountPath": "/etc/hosts", "subPath": "one"}),
        "1",
    ),
    Row(
        "the hosts file of the node", a_script("pod", "grep -c Kubernetes-managed /etc/hosts", hostNetwork=True), "1\n"
    ),
    Row(
        "DNS of the cluster",
        a_script("pod", "cat /etc/resolv.conf"),
        "search {namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver {dns}\noptions ndots:5\n",
    ),
    Row(
        "DNS of its own",
        a_script(
            "pod",
            "cat /etc/resolv.conf",
            dnsPolicy="None",
            dnsConfig={
                "nameservers": ["1.1.1.1"],
                "searches": ["resolv.conf.local"],
                "options": [{"name": "ndots", "value": "2"}, {"name": "inet6"}],
            },
        ),
        "search resolv.conf.local\nnameserver 1.1.1.1\noptions ndots:2 inet6\n",
    ),
    Row(
        "a shared emptyDir",
        a_live_pod(
            "pod",
            a_container("other", "echo told > /a/f", volumeMounts=[{"name": "v", "mountPath": "/a"}]),
            a_container(
                "main",
                "until cat /b/f 2>/dev/null; do sleep 0.1; done",
                volumeMounts=[{"name": "v", "mountPath": "/b"}],
            ),
            volumes=[{"name": "v", "emptyDir": {}}],
        ),
        "told\n",
    ),
    Row("mode of an emptyDir", mounting("stat -c %a /v", {"emptyDir": {}}, {"mountPath": "/v"}), "777\n"),
    Row(
        "mode of an emptyDir in memory",
        mounting("stat -c %a /v; stat -f -c %T /v", {"emptyDir": {"medium": "Memory"}}, {"mountPath": "/v"}),
        "777\ntmpfs\n",
    ),
    *(empty(medium, mode, user) for medium in ("", "Memory") for mode in ("644", "666", "777") for user in (0, 1000)),
    Row(
        "subPath over a file",
        mounting(
            "cat /etc/resolv.conf",
            {"configMap": {"name": "settings"}},
            {"mountPath": "/etc/resolv.conf", "subPath": "one"},
        ),
        "1",
    ),
    Row(
        "subPath of fields",
        mounting(
            "cat /f",
            {"downwardAPI": {"items": [{"path": "a/name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"mountPath": "/f", "subPath": "a/name"},
        ),
        "{name}",
    ),
    Row(
        "subPath of a projected volume",
        mounting(
            "cat /f",
            {"projected": {"sources": [{"configMap": {"name": "settings"}}]}},
            {"mountPath": "/f", "subPath": "two"},
        ),
        "2",
    ),
    Row(
        "subPath of a secret",
        mounting("cat /f", {"secret": {"secretName": "keys"}}, {"mountPath": "/f", "subPath": "two"}),
        "s2",
    ),
    Row(
        "subPathExpr",
        mounting(
            "echo x > /log/f; test -f /all/{name}/f && echo same",
            {"emptyDir": {}},
            {"mountPath": "/log", "subPathExpr": "$(NAME)"},
            {"mountPath": "/all"},
            env=[field("NAME", "metadata.name")],
        ),
        "same\n",
    ),
    Row(
        "a volume for reading",
        mounting("touch /v/f 2>/dev/null || echo refused", {"emptyDir": {}}, {"mountPath": "/v", "readOnly": True}),
        "refused\n",
    ),
    Row(
        "the token",
        sees("cd /var/run/secrets/kubernetes.io/serviceaccount; cat namespace; echo; cut -c1-3 token; head -1 ca.crt"),
        "{namespace}\neyJ\n-----BEGIN CERTIFICATE-----\n",
    ),
    Row(
        "no token wanted",
        a_script("pod", "ls /var/run/secrets 2>/dev/null | wc -l", automountServiceAccountToken=False),
        "0\n",
    ),
]


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row.says for row in ROWS])
def test_a_container_finds(started, words, number):
    row = ROWS[number]

    pod = started.until("Pod", f"row-{number}", is_over)

    assert started.logs(f"row-{number}", container="main") == filled(row.expected, words | {"name": f"row-{number}"})
    assert pod["status"]["phase"] == row.phase
