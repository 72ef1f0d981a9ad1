"""Certificate signing requests: which are approved by themselves, what is signed, and when requests go."""

from base64 import b64decode, b64encode
from datetime import timedelta
from ipaddress import ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from make import NOW, an_object

from controllers.access.certificate_request_cleaning import plan as cleaning
from controllers.access.certificate_requests import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    approved,
    is_to_be_signed,
    recognitions,
    refusal,
)
from controllers.shells.authority import Authority
from controllers.shells.certifying import outcome
from wherry.api.certificates.certificate_signing_request import CertificateSigningRequest
from wherry.client.plan import CheckAgain, Delete, Update
from wherry.client.world import World
from wherry.machinery.time import time_text

NODE = "system:node:n1"
CLIENT_USES, SERVER_USES = ["digital signature", "client auth"], ["digital signature", "server auth"]


def a_request(user: str = "alice", *groups: str, names: tuple[x509.GeneralName, ...] = ()) -> str:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    # Not validated: other tools make requests that this library would not.
    common_name = x509.NameAttribute(NameOID.COMMON_NAME, user, _validate=False)
    builder = x509.CertificateSigningRequestBuilder(x509.Name([*attributes, common_name]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    request = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


def a_csr(request: str = "", signer: str = CLIENT, *decisions: str, **more: object) -> CertificateSigningRequest:
    said = [{"type": each, "status": "True", "lastUpdateTime": time_text(NOW)} for each in decisions]
    status = {"conditions": said, **more.pop("status", {})}
    spec = {"request": request or a_request(), "signerName": signer, "usages": more.pop("usages", CLIENT_USES), **more}
    return an_object(CertificateSigningRequest, "csr", status=status, spec=spec)


def an_authority(days: int = 3650) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-ca")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=days))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return Authority(certificate, key.private_bytes(serialization.Encoding.PEM, *form))


def opened(encoded: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(b64decode(encoded))


def test_a_node_that_renews_is_told_from_one_that_is_new():
    request = a_request(NODE, "system:nodes")

    renewing = recognitions(a_csr(request, KUBELET_CLIENT, username=NODE))
    new = recognitions(a_csr(request, KUBELET_CLIENT, username="system:bootstrap:abcdef"))

    assert [one.permission for one in renewing] == ["selfnodeclient", "nodeclient"]
    assert [one.permission for one in new] == ["nodeclient"]
    assert renewing[0].message == "Auto approving self kubelet client certificate after SubjectAccessReview."


DNS = x509.DNSName("n1")
NETWORK = x509.IPAddress(ip_network("10.0.0.0/8"))
UNKNOWN = [
    a_csr(a_request("alice", "system:nodes"), KUBELET_CLIENT),
    a_csr(a_request(NODE), KUBELET_CLIENT),
    a_csr(a_request(NODE, "system:nodes", "system:masters"), KUBELET_CLIENT),
    a_csr(a_request(NODE, "system:nodes", names=(DNS,)), KUBELET_CLIENT),
    a_csr(a_request(NODE, "system:nodes"), KUBELET_CLIENT, usages=SERVER_USES),
    a_csr(a_request(NODE, "system:nodes"), KUBELET_CLIENT, "Denied"),
    a_csr(a_request(NODE, "system:nodes", names=(DNS,)), KUBELET_SERVING, usages=SERVER_USES),
    a_csr(a_request(NODE, "system:nodes"), CLIENT),
]


@pytest.mark.parametrize("csr", UNKNOWN)
def test_everything_else_waits_for_people(csr: CertificateSigningRequest):
    assert recognitions(csr) == []


def test_approval_is_a_condition_beside_those_there_are():
    csr = a_csr(a_request(NODE, "system:nodes"), KUBELET_CLIENT)

    [action] = approved(csr, "why not", NOW)

    yes = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": "why not"}
    assert action == Update(csr, {"status": {"conditions": [{**yes, "lastUpdateTime": time_text(NOW)}]}}, "approval")


def test_only_what_is_approved_and_open_is_signed():
    signs = {
        (): False,
        ("Approved",): True,
        ("Approved", "Failed"): False,
        ("Denied",): False,
    }

    assert {decisions: is_to_be_signed(a_csr("", CLIENT, *decisions)) for decisions in signs} == signs
    assert not is_to_be_signed(a_csr("", "example.com/mine", "Approved"))
    assert not is_to_be_signed(a_csr("", CLIENT, "Approved", status={"certificate": "eA=="}))


REFUSED = [
    (a_csr(usages=SERVER_USES), "usages did not match ['client auth', 'digital signature', 'key encipherment']"),
    (a_csr(usages=["client auth", "cert sign"]), "usages did not match"),
    (a_csr(signer=KUBELET_SERVING, usages=SERVER_USES), "subject organization is not system:nodes"),
    (
        a_csr(a_request(NODE, "system:nodes"), KUBELET_SERVING, usages=SERVER_USES),
        "DNS or IP subjectAltName is required",
    ),
]


@pytest.mark.parametrize(("csr", "why"), REFUSED)
def test_what_a_signer_does_not_sign_it_says(csr: CertificateSigningRequest, why: str):
    assert refusal(csr).startswith(why)


def test_the_certificate_says_what_was_asked_for_and_no_more():
    csr = a_csr(a_request("alice", "staff", "robots"), usages=["client auth"], expiration_seconds=3600)

    certificate = opened(an_authority().sign(csr, NOW))

    assert certificate.subject.rfc4514_string() == "CN=alice,O=robots,O=staff"
    lifetime = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    assert lifetime == (NOW - timedelta(minutes=5), NOW + timedelta(hours=1))
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert x509.KeyUsage not in [type(extension.value) for extension in certificate.extensions]


@pytest.mark.parametrize(("days", "asked", "lasts"), [(3650, None, 365), (3650, 86400 * 999, 365), (10, None, 10)])
def test_no_certificate_outlives_a_year_or_its_authority(days: int, asked: int | None, lasts: int):
    certificate = opened(an_authority(days).sign(a_csr(expiration_seconds=asked), NOW))

    assert certificate.not_valid_after_utc == NOW + timedelta(days=lasts)


def test_names_of_a_server_are_in_its_certificate():
    csr = a_csr(a_request(NODE, "system:nodes", names=(DNS,)), KUBELET_SERVING, usages=SERVER_USES)

    certificate = opened(an_authority().sign(csr, NOW))

    assert refusal(csr) == ""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [DNS]


@pytest.mark.filterwarnings("ignore:Attribute's length")
@pytest.mark.parametrize(
    ("user", "names", "why"),
    [
        ("a" * 65, (), "Attribute's length must be >= 1 and <= 64, but it was 65"),
        ("alice", (NETWORK,), "'10.0.0.0/8' does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_a_request_that_cannot_be_signed_has_failed_for_good(user: str, names: tuple[x509.GeneralName, ...], why: str):
    csr = a_csr(a_request(user, names=names), CLIENT, "Approved")

    [action] = outcome(csr, an_authority(), NOW)

    assert not is_to_be_signed(action.obj)
    no = action.obj.status.conditions[-1]
    assert (no.type, no.reason, no.message) == ("Failed", "SignerValidationFailure", f"unable to sign csr: {why}")


def test_that_the_authority_has_ended_is_not_the_requests_fault():
    with pytest.raises(RuntimeError, match="the authority's own certificate ended at"):
        outcome(a_csr("", CLIENT, "Approved"), an_authority(days=1), NOW + timedelta(days=1))


def test_a_key_that_is_not_the_certificates_is_refused():
    ours, other = an_authority(), an_authority()
    pem = ours._certificate.public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()

    with pytest.raises(ValueError, match="not that of the certificate"):
        Authority(pem, other._key.private_bytes(serialization.Encoding.PEM, *form))


def cleaned(csr: CertificateSigningRequest, **later: float) -> list:
    return list(cleaning(csr, World(csr, now=NOW + timedelta(**later))))


def test_requests_go_when_nobody_needs_them_any_more():
    pending, decided = a_csr(), a_csr("", CLIENT, "Approved")

    assert cleaned(pending, hours=23) == [CheckAgain(3600)]
    assert cleaned(pending, hours=24) == [Delete(pending)]
    assert cleaned(decided, minutes=59) == [CheckAgain(60)]
    assert cleaned(decided, hours=1) == [Delete(decided)]


def test_a_request_goes_with_its_certificate():
    short = an_authority().sign(a_csr(expiration_seconds=600), NOW)
    csr = a_csr("", CLIENT, "Approved", status={"certificate": short})

    assert cleaned(csr, minutes=9) == [CheckAgain(60)]
    assert cleaned(csr, minutes=10) == [Delete(csr)]
