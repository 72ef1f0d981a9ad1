"""What the page about lab members promises, with kubectl: a certificate, a namespace of one's own, and its quota."""

import json
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from cluster.live_cluster import eventually
from cluster.live_cluster import kubectl as kubectl_path
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import wherry.testing
from wherry.cli import main

pytestmark = pytest.mark.xdist_group("lab members")


@pytest.fixture(scope="module")
def cluster() -> Iterator[wherry.testing.Cluster]:
    with wherry.testing.cluster(nodes=1) as cluster:
        yield cluster


def run(cluster: wherry.testing.Cluster, *arguments: str, given: object = None) -> subprocess.CompletedProcess[str]:
    command = (kubectl_path(), "--kubeconfig", cluster.kubeconfig, *arguments)
    told = json.dumps(given) if given is not None else None
    return subprocess.run(command, capture_output=True, text=True, timeout=60, input=told)


def kubectl(cluster: wherry.testing.Cluster, *arguments: str, given: object = None) -> str:
    done = run(cluster, *arguments, given=given)
    assert done.returncode == 0, done.stderr
    return done.stdout


def a_key_and_request(folder: Path, user: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{user}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
    request = x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())
    return b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


def a_csr(name: str, request: str) -> dict:
    spec = {"request": request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    identity = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
    return {**identity, "metadata": {"name": name}, "spec": {**spec, "expirationSeconds": 86400}}


def condition(cluster: wherry.testing.Cluster, name: str) -> str:
    return kubectl(cluster, "get", "csr", name, "--no-headers").split()[-1]


def certificate(cluster: wherry.testing.Cluster, name: str) -> bytes:
    return b64decode(kubectl(cluster, "get", "csr", name, "-o", "jsonpath={.status.certificate}"))


def test_a_member_gets_a_certificate_and_one_namespace(cluster: wherry.testing.Cluster, tmp_path: Path):
    kubectl(cluster, "create", "-f", "-", given=a_csr("alice", a_key_and_request(tmp_path, "alice")))
    assert condition(cluster, "alice") == "Pending"
    kubectl(cluster, "certificate", "approve", "alice")
    eventually(lambda: condition(cluster, "alice") == "Approved,Issued")
    (tmp_path / "alice.crt").write_bytes(certificate(cluster, "alice"))
    kubectl(cluster, "create", "namespace", "robots")
    kubectl(cluster, "create", "rolebinding", "alice", "--clusterrole=edit", "--user=alice", "-n", "robots")
    files = (f"--client-certificate={tmp_path}/alice.crt", f"--client-key={tmp_path}/alice.key")
    kubectl(cluster, "config", "set-credentials", "alice", *files)

    assert "alice" in kubectl(cluster, "--user=alice", "auth", "whoami")
    eventually(lambda: run(cluster, "--user=alice", "run", "mine", "--image=any", "-n", "robots").returncode == 0)
    refused = run(cluster, "--user=alice", "get", "pods", "-n", "default")
    assert 'User "alice" cannot list resource "pods" in API group "" in the namespace "default"' in refused.stderr


def make_role(cluster: wherry.testing.Cluster, role: str, user: str) -> None:
    """The cluster role as the page makes it, for a user."""
    page = (Path(__file__).parents[2] / "docs/members.md").read_text()
    command = page[page.index(f"kubectl create clusterrole {role}") :].partition("\nkubectl")[0]
    kubectl(cluster, *command.replace("\\\n", " ").split()[1:])
    kubectl(cluster, "create", "clusterrolebinding", role, f"--clusterrole={role}", f"--user={user}")


def test_a_member_is_told_why_his_pod_waits_and_with_one_more_role_what_would_have_to_change(
    cluster: wherry.testing.Cluster, tmp_path: Path
):
    kubectl(cluster, "create", "namespace", "carols")
    kubectl(cluster, "create", "serviceaccount", "carol", "-n", "carols")
    account = "system:serviceaccount:carols:carol"
    kubectl(cluster, "create", "rolebinding", "c", "--clusterrole=edit", f"--user={account}", "-n", "carols")
    mine = tmp_path / "carol.conf"
    mine.write_text(Path(cluster.kubeconfig).read_text())
    token = kubectl(cluster, "create", "token", "carol", "-n", "carols").strip()
    kubectl(cluster, "--kubeconfig", str(mine), "config", "set-credentials", "carol", f"--token={token}")
    kubectl(cluster, "--kubeconfig", str(mine), "config", "set-context", "--current", "--user=carol")
    wide = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wide", "namespace": "carols"}}
    wide["spec"] = {"containers": [{"name": "c", "image": "any", "resources": {"requests": {"cpu": "99"}}}]}
    kubectl(cluster, "create", "-f", "-", given=wide)
    asking = ["why", "pod/wide", "-n", "carols", "--kubeconfig", str(mine)]
    eventually(lambda: "Insufficient cpu (wants 99" in CliRunner().invoke(main, asking).output)

    narrow = CliRunner().invoke(main, asking).output
    for role in ("sharing", "planning"):
        make_role(cluster, role, account)
    eventually(lambda: "even if it were empty" in CliRunner().invoke(main, asking).output)
    planned = CliRunner().invoke(main, ["plan", "-f", "-", *asking[2:]], input=json.dumps(wide))

    assert "what would have to change is told to those who may see the whole cluster" in narrow
    assert (planned.exit_code, planned.output.splitlines()[0]) == (2, "it does not fit")


def test_a_member_may_see_who_holds_what_and_nobodys_secrets(cluster: wherry.testing.Cluster):
    kubectl(cluster, "delete", "clusterrole,clusterrolebinding", "sharing", "--ignore-not-found")
    make_role(cluster, "sharing", "bob")
    user = ("--as=bob",)

    lists = ("pods", "namespaces", "resourceclaims", "resourceslices", "queues", "fairshares")
    eventually(lambda: all(run(cluster, *user, "get", kind, "-A").returncode == 0 for kind in lists))
    refused = [run(cluster, *user, "get", kind, "-A").returncode for kind in ("secrets", "nodes")]
    assert refused == [1, 1]


def test_a_denied_request_gets_no_certificate(cluster: wherry.testing.Cluster, tmp_path: Path):
    kubectl(cluster, "create", "-f", "-", given=a_csr("mallory", a_key_and_request(tmp_path, "mallory")))

    kubectl(cluster, "certificate", "deny", "mallory")

    assert condition(cluster, "mallory") == "Denied"
    assert certificate(cluster, "mallory") == b""


def test_a_quota_is_made_described_and_kept(cluster: wherry.testing.Cluster):
    kubectl(cluster, "create", "namespace", "quotas")
    hard = "pods=2,requests.nvidia.com/gpu=1,limits.cpu=4,count/deployments.apps=1"
    kubectl(cluster, "create", "quota", "lab", f"--hard={hard}", "-n", "quotas")
    eventually(lambda: "pods: 0/2" in kubectl(cluster, "get", "quota", "lab", "-n", "quotas", "--no-headers"))
    resources = {"limits": {"cpu": "1", "nvidia.com/gpu": 1}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "gpu-", "namespace": "quotas"}}
    pod["spec"] = {"containers": [{"name": "c", "image": "any", "resources": resources}]}
    eventually(lambda: run(cluster, "create", "-f", "-", given=pod).returncode == 0)

    refused = run(cluster, "create", "-f", "-", given=pod)

    numbers = (
        "requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=1, limited: requests.nvidia.com/gpu=1"
    )
    assert f"is forbidden: exceeded quota: lab, {numbers}" in refused.stderr
    described = [line.split() for line in kubectl(cluster, "describe", "quota", "lab", "-n", "quotas").splitlines()]
    assert ["requests.nvidia.com/gpu", "1", "1"] in described
    assert ["limits.cpu", "1", "4"] in described
    kubectl(cluster, "delete", "pods", "--all", "-n", "quotas", "--now")
    eventually(lambda: "pods: 0/2" in kubectl(cluster, "get", "quota", "lab", "-n", "quotas", "--no-headers"))


def test_limits_of_a_namespace_are_described(cluster: wherry.testing.Cluster):
    kubectl(cluster, "create", "namespace", "limits")
    item = {"type": "Container", "max": {"cpu": "2"}, "defaultRequest": {"cpu": "100m"}}
    identity = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l", "namespace": "limits"}}
    kubectl(cluster, "create", "-f", "-", given={**identity, "spec": {"limits": [item]}})

    described = kubectl(cluster, "describe", "limits", "l", "-n", "limits")

    assert ["Container", "cpu", "-", "2", "100m", "2", "-"] in [line.split() for line in described.splitlines()]
