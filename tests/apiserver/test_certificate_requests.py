"""Certificate signing requests: their rules, whose they are, and who may approve and sign them."""

from base64 import b64encode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.apiserver.local_api import Api

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
CLIENT = "kubernetes.io/kube-apiserver-client"
AS_N1 = {"user": "system:node:n1", "groups": ("system:nodes",)}
YES = {"type": "Approved", "status": "True", "reason": "ByHand"}
CERTIFICATE = b64encode(b"-----BEGIN CERTIFICATE-----").decode()
ALICE = {"user": "alice", "groups": ()}


def a_request(user: str = "alice", *groups: str) -> str:
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, user)])
    request = x509.CertificateSigningRequestBuilder(subject).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    return b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


def a_csr(name: str = "alice", **spec: object) -> dict:
    spec = {"request": a_request(), "signerName": CLIENT, "usages": ["client auth"], **spec}
    return {"metadata": {"name": name}, "spec": {key: value for key, value in spec.items() if value is not None}}


async def may(api: Api, user: str, *rules: dict) -> None:
    await api.made(ROLES, {"metadata": {"name": user}, "rules": list(rules)})
    subjects = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}]
    ref = {"kind": "ClusterRole", "apiGroup": "rbac.authorization.k8s.io", "name": user}
    await api.made(BINDINGS, {"metadata": {"name": user}, "subjects": subjects, "roleRef": ref})


def a_rule(verbs: str, resources: str, *names: str) -> dict:
    rule = {"verbs": verbs.split(), "apiGroups": ["certificates.k8s.io"], "resources": resources.split()}
    return {**rule, "resourceNames": list(names)} if names else rule


async def test_who_asks_is_what_the_server_knows(api: Api):
    await may(api, "alice", a_rule("create", "certificatesigningrequests"))

    made = await api.made(CSRS, a_csr(username="root", groups=["system:masters"]), user="alice", groups=("staff",))

    assert (made["spec"]["username"], made["spec"]["groups"]) == ("alice", ["staff", "system:authenticated"])
    assert made["status"] == {}


async def test_what_is_asked_for_stays(api: Api):
    made = await api.made(CSRS, a_csr())

    changed = await api.patch(
        f"{CSRS}/alice", {"spec": {"signerName": "evil.example/x"}, "status": {"certificate": "eA=="}}
    )

    assert (changed.json["spec"], changed.json["status"]) == (made["spec"], {})


FAULTY = [
    ({"request": "aGVsbG8="}, 'spec.request: Invalid value: "aGVsbG8=": PEM block type must be CERTIFICATE REQUEST'),
    ({"request": b64encode(b"-----BEGIN CERTIFICATE REQUEST-----\nAA\n").decode()}, "cannot be read"),
    ({"usages": None}, "spec.usages: Required value"),
    ({"usages": ["client auth", "world peace"]}, 'spec.usages[1]: Unsupported value: "world peace"'),
    ({"usages": ["client auth"] * 2}, 'spec.usages[1]: Duplicate value: "client auth"'),
    ({"signerName": "kubernetes.io/legacy-unknown"}, "the legacy signerName is not allowed via this API version"),
    ({"signerName": "mine"}, "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
    ({"expirationSeconds": 599}, "Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)"),
]


@pytest.mark.parametrize(("spec", "fault"), FAULTY)
async def test_a_request_that_nobody_could_sign_is_refused(api: Api, spec: dict, fault: str):
    answer = await api.post(CSRS, a_csr(**spec))

    assert answer.status == 422
    assert fault in answer.error[2]


async def test_nobody_becomes_a_master_by_certificate(api: Api):
    answer = await api.post(CSRS, a_csr(request=a_request("alice", "system:masters")))

    why = f"use of {CLIENT} signer with system:masters group is not allowed"
    assert answer.error == (
        403,
        "Forbidden",
        f'certificatesigningrequests.certificates.k8s.io "alice" is forbidden: {why}',
    )


async def test_approval_takes_conditions_only_and_dates_them(api: Api):
    made = await api.made(CSRS, a_csr())
    wanted = {**made, "spec": {**made["spec"], "usages": ["any"]}}

    decided = await api.put(
        f"{CSRS}/alice/approval", {**wanted, "status": {"conditions": [YES], "certificate": "eA=="}}
    )

    assert decided.json["spec"] == made["spec"]
    [condition] = decided.json["status"]["conditions"]
    assert condition["lastUpdateTime"] == condition["lastTransitionTime"]
    assert "certificate" not in decided.json["status"]
    annotated = await api.patch(f"{CSRS}/alice/approval", {"metadata": {"annotations": {"by": "me"}}})
    assert annotated.json == {**decided.json, "metadata": annotated.json["metadata"]}
    assert annotated.json["metadata"]["annotations"] == {"by": "me"}
    assert (await api.get(f"{CSRS}/alice/approval")).json == annotated.json


@pytest.mark.parametrize(
    ("conditions", "fault"),
    [
        ([YES, {**YES, "type": "Denied"}], "Approved and Denied conditions are mutually exclusive"),
        ([{**YES, "status": "False"}], 'Unsupported value: "False": supported values: "True"'),
        ([YES, {**YES, "type": "Failed"}], 'updates may not add a condition of type "Failed"'),
        ([], 'updates may not remove a condition of type "Approved"'),
    ],
)
async def test_a_decision_is_one_and_for_ever(api: Api, conditions: list, fault: str):
    await api.made(CSRS, a_csr())
    assert (await api.patch(f"{CSRS}/alice/approval", {"status": {"conditions": [YES]}})).status == 200

    answer = await api.patch(f"{CSRS}/alice/approval", {"status": {"conditions": conditions}})

    assert answer.status == 422
    assert fault in answer.error[2]


async def test_the_signer_hands_over_one_certificate_and_approves_nothing(api: Api):
    await api.made(CSRS, a_csr())
    nonsense = await api.patch(f"{CSRS}/alice/status", {"status": {"certificate": "eA=="}})
    assert nonsense.error[2].endswith("must contain at least one CERTIFICATE PEM block")
    assert (await api.patch(f"{CSRS}/alice/status", {"status": {"certificate": CERTIFICATE}})).status == 200

    other = await api.patch(f"{CSRS}/alice/status", {"status": {"certificate": "eQ=="}})
    approving = await api.patch(f"{CSRS}/alice/status", {"status": {"conditions": [YES]}})

    assert "status.certificate: Forbidden: updates may not modify existing certificate content" in other.error[2]
    assert 'updates may not add a condition of type "Approved"' in approving.error[2]


@pytest.mark.parametrize(
    ("named", "status"), [((), 403), (("other.example/x",), 403), ((CLIENT,), 200), (("kubernetes.io/*",), 200)]
)
async def test_approving_takes_the_right_to_approve_for_the_signer(api: Api, named: tuple, status: int):
    rules = [a_rule("update patch", "certificatesigningrequests/approval")]
    await may(api, "alice", *rules, *([a_rule("approve", "signers", *named)] if named else []))
    await api.made(CSRS, a_csr())

    answer = await api.patch(f"{CSRS}/alice/approval", {"status": {"conditions": [YES]}}, **ALICE)

    assert answer.status == status
    if status == 403:
        assert answer.error[2].endswith(f'user not permitted to approve requests with signerName "{CLIENT}"')


async def test_signing_takes_the_right_to_sign(api: Api):
    await may(api, "alice", a_rule("update patch", "certificatesigningrequests/status"))
    await api.made(CSRS, a_csr())

    answer = await api.patch(f"{CSRS}/alice/status", {"status": {"certificate": CERTIFICATE}}, **ALICE)

    assert answer.error[2].endswith(f'user not permitted to sign requests with signerName "{CLIENT}"')


async def test_the_row_tells_how_far_it_is(api: Api):
    await api.made(CSRS, a_csr(expirationSeconds=3600))
    accept = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    rows = [(await api.get(CSRS, headers=accept)).json["rows"][0]["cells"][2:]]
    await api.patch(f"{CSRS}/alice/approval", {"status": {"conditions": [YES]}})
    await api.patch(f"{CSRS}/alice/status", {"status": {"certificate": CERTIFICATE}})
    rows.append((await api.get(CSRS, headers=accept)).json["rows"][0]["cells"][2:])

    assert rows == [[CLIENT, "admin", "60m", "Pending"], [CLIENT, "admin", "60m", "Approved,Issued"]]
    selected = await api.get(CSRS, query={"fieldSelector": f"spec.signerName={CLIENT}"})
    assert len(selected.json["items"]) == 1


@pytest.mark.parametrize("signer", ["kube-apiserver-client-kubelet", "kubelet-serving"])
async def test_a_node_asks_for_its_own_certificates_alone(api: Api, signer: str):
    usage = "client auth" if "client" in signer else "server auth"
    wanted = {"signerName": f"kubernetes.io/{signer}", "usages": ["digital signature", usage]}

    own = await api.post(CSRS, a_csr("own", request=a_request("system:node:n1", "system:nodes"), **wanted), **AS_N1)
    other = await api.post(CSRS, a_csr("other", request=a_request("system:node:n2", "system:nodes"), **wanted), **AS_N1)

    assert (own.status, other.status) == (201, 403)
    assert other.json["message"].endswith("can only create a node CSR with CN=system:node:n1")
