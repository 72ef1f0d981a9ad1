"""A webhook as people run it: in a pod, behind a service, with a certificate from a secret; asked by the API server.

And what an operator puts into the data folder: an audit policy, and keys for secrets.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.live_cluster import CommandFailed, LiveCluster, engine

from tests.faults.cluster_keys import ClusterKeys

pytestmark = pytest.mark.xdist_group("hooks and guards")

SERVER = """
import http.server, json, ssl

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["request"]
        answer = {"uid": asked["uid"], "allowed": not asked["name"].startswith("no")}
        answer["status"] = {"message": "says the pod"}
        body = json.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": answer}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("", 8443), Hook)
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
# The pod brings no Python of its own: it finds the machine's.
MACHINE = {"usr": "/usr", "lib": "/usr/lib", "lib64": "/usr/lib64"}

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata, verbs: [create], resources: [{group: "", resources: [secrets, configmaps]}]}]
"""
KEYS = f"""
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers: [{{aesgcm: {{keys: [{{name: k, secret: {b64encode(bytes(32)).decode()}}}]}}}}]
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveCluster]:
    engine()
    if not Path("/usr/bin/python3").exists():
        pytest.skip("this machine has no Python that a pod could use")
    cluster = LiveCluster(tmp_path_factory.mktemp("webhook"))
    cluster.data_dir.mkdir()
    (cluster.data_dir / "audit-policy.yaml").write_text(POLICY)
    (cluster.data_dir / "encryption.yaml").write_text(KEYS)
    (cluster.data_dir / "encryption.yaml").chmod(0o600)
    try:
        cluster.wherry("up")
        yield cluster
    finally:
        cluster.wherry("down", "--purge")


def a_pod() -> dict[str, object]:
    mounts = [{"name": name, "mountPath": f"/{name}", "readOnly": True} for name in (*MACHINE, "tls", "hook")]
    volumes: list[dict[str, object]] = [{"name": name, "hostPath": {"path": path}} for name, path in MACHINE.items()]
    volumes += [{"name": "tls", "secret": {"secretName": "hook"}}, {"name": "hook", "configMap": {"name": "hook"}}]
    container = {"name": "hook", "image": "wherry/web:local", "imagePullPolicy": "IfNotPresent", "volumeMounts": mounts}
    container |= {"command": ["/usr/bin/python3", "/hook/hook.py"], "ports": [{"containerPort": 8443}]}
    container["readinessProbe"] = {"tcpSocket": {"port": 8443}, "periodSeconds": 1}
    metadata = {"name": "hook", "labels": {"app": "hook"}}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {"containers": [container], "volumes": volumes},
    }


def a_configuration(ca: bytes) -> dict[str, object]:
    service = {"name": "hook", "namespace": "default", "path": "/check"}
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    hook = {"name": "hook.example.com", "rules": [rule], "sideEffects": "None", "admissionReviewVersions": ["v1"]}
    hook["clientConfig"] = {"service": service, "caBundle": b64encode(ca).decode()}
    kind = {"kind": "ValidatingWebhookConfiguration", "apiVersion": "admissionregistration.k8s.io/v1"}
    return {**kind, "metadata": {"name": "hook"}, "webhooks": [hook]}


def test_a_webhook_in_a_pod_decides(cluster: LiveCluster, tmp_path: Path) -> None:
    keys = ClusterKeys(tmp_path)
    keys.sign("hook", hosts=("hook.default.svc",))
    files = ("--cert", str(tmp_path / "hook.crt"), "--key", str(tmp_path / "hook.key"))
    (tmp_path / "hook.py").write_text(SERVER)
    cluster.kubectl("create", "secret", "tls", "hook", *files)
    cluster.kubectl("create", "configmap", "hook", f"--from-file={tmp_path / 'hook.py'}")
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(a_pod()))
    cluster.kubectl("expose", "pod", "hook", "--port=443", "--target-port=8443")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/hook", "--timeout=40s")
    ca = (tmp_path / "ca.crt").read_bytes()

    cluster.kubectl("create", "-f", "-", stdin=json.dumps(a_configuration(ca)))
    cluster.kubectl("create", "configmap", "yes")

    with pytest.raises(CommandFailed, match=r'"hook.example.com" denied the request: says the pod'):
        cluster.kubectl("create", "configmap", "no-way")


def test_what_the_operator_put_into_the_data_folder_is_obeyed(cluster: LiveCluster) -> None:
    cluster.kubectl("create", "secret", "generic", "word", "--from-literal=pass=open-sesame")

    database = b"".join(file.read_bytes() for file in (cluster.data_dir / "store").glob("objects.db*"))
    log = cluster.data_dir / "logs" / "audit.log"
    told = [json.loads(line) for line in log.read_text().splitlines()]

    assert cluster.get("secret", "word")["data"] == {"pass": b64encode(b"open-sesame").decode()}
    assert (b64encode(b"open-sesame") in database, b"k8s:enc:aesgcm:v1:k:" in database) == (False, True)
    assert {event["verb"] for event in told} == {"create"}
    assert told[-1]["user"]["username"] == "kubernetes-admin"
    assert log.stat().st_mode & 0o077 == 0
