"""Certificates: made once, good for those they name, made anew when they are old or others are named."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from wherry.cluster.layout import Layout
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import EtcdSettings, NodeSettings, Settings
from wherry.cluster.trust import certificates
from wherry.cluster.trust.certificates import Authority, Subject
from wherry.cluster.trust.credentials import make_credentials


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names_of(path: Path) -> set[str]:
    names = certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_a_good_certificate_is_kept(tmp_path: Path) -> None:
    Authority(tmp_path, "ca").issue("server", Subject("me"), ("localhost",))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    Authority(tmp_path, "ca").issue("server", Subject("me"), ("localhost",))

    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("subject", "hosts"), [(Subject("you"), ("localhost",)), (Subject("me"), ("localhost", "::1"))]
)
def test_other_names_need_another_certificate(tmp_path: Path, subject: Subject, hosts: tuple[str, ...]) -> None:
    authority = Authority(tmp_path, "ca")
    authority.issue("server", Subject("me"), ("localhost",))

    authority.issue("server", subject, hosts)

    assert certificate(tmp_path / "server.crt").subject == subject.x509
    assert names_of(tmp_path / "server.crt") == set(hosts)


def test_a_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    Authority(tmp_path, "ca").issue("client", Subject("me"))
    (tmp_path / "ca.key").unlink()

    Authority(tmp_path, "ca").issue("client", Subject("me"))

    certificate(tmp_path / "client.crt").verify_directly_issued_by(certificate(tmp_path / "ca.crt"))


def test_a_certificate_is_renewed_in_the_last_third_of_its_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "ca")
    monkeypatch.setattr(certificates, "LIFE", timedelta(minutes=2))  # and backdated by five
    authority.issue("client", Subject("me"))
    monkeypatch.undo()

    authority.issue("client", Subject("me"))

    assert certificate(tmp_path / "client.crt").not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)


def test_what_is_no_key_is_named(tmp_path: Path) -> None:
    Authority(tmp_path, "ca")
    (tmp_path / "ca.key").write_text("hello")

    with pytest.raises(ClusterProblem, match=r"ca\.key: not a private key"):
        Authority(tmp_path, "ca")


def test_every_component_has_an_identity_of_its_own(tmp_path: Path) -> None:
    layout = Layout("wherry", tmp_path)
    layout.make()
    node = NodeSettings("vm", 10250)
    make_credentials(
        layout, Settings(port=6443, nodes=(node,), gateway="10.244.0.1", store="etcd", etcd=EtcdSettings())
    )

    shown = {file.stem: certificate(file).subject.rfc4514_string() for file in layout.pki.glob("*.crt")}
    assert shown == {
        "ca": "CN=wherry-ca",
        "admin": "CN=kubernetes-admin,O=system:masters",
        "apiserver": "CN=kube-apiserver",
        "apiserver-kubelet-client": "CN=kube-apiserver-kubelet-client,O=system:masters",
        "controllers": "CN=system:kube-controller-manager",
        "controllers-server": "CN=controllers",
        "scheduler": "CN=system:kube-scheduler",
        "scheduler-server": "CN=scheduler",
        "kubeproxy": "CN=system:kube-proxy",
        "kubelet-vm": "CN=system:node:vm,O=system:nodes",
        "kubelet-vm-server": "CN=system:node:vm,O=system:nodes",
        "front-proxy-ca": "CN=wherry-front-proxy-ca",
        "front-proxy-client": "CN=front-proxy-client",
        "etcd-ca": "CN=wherry-etcd-ca",
        "etcd-server": "CN=etcd",
        "etcd-client": "CN=kube-apiserver-etcd-client",
    }
    assert names_of(layout.certificate("apiserver")) >= {
        "127.0.0.1",
        "10.244.0.1",
        "10.96.0.1",
        "kubernetes.default.svc",
    }
    assert {file.stat().st_mode & 0o777 for file in layout.pki.iterdir()} == {0o600}


def test_etcd_does_not_open_to_certificates_of_the_cluster(tmp_path: Path) -> None:
    Authority(tmp_path, "ca").issue("kubelet", Subject("system:node:vm", ("system:nodes",)))
    Authority(tmp_path, "etcd-ca")

    with pytest.raises(InvalidSignature):
        certificate(tmp_path / "kubelet.crt").verify_directly_issued_by(certificate(tmp_path / "etcd-ca.crt"))
