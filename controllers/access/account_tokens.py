"""What becomes of Secrets of type kubernetes.io/service-account-token: filled for their account, and gone with it.

Kubernetes: the TokensController. Differs: the token in such a Secret is one that is bound to it, as any client could
ask for, and names an end, 136 years from now; without the Secret it is worth nothing, as in Kubernetes.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, ClassVar

import msgspec

from wherry.api.core.secret import ACCOUNT_NAME, ACCOUNT_TOKEN, Secret
from wherry.api.core.service_account import ServiceAccount
from wherry.client.plan import Delete, Plan, Update
from wherry.machinery.resource import Kind, Resource
from wherry.machinery.view import View

ACCOUNT_UID = "kubernetes.io/service-account.uid"
FIELDS = f"type={ACCOUNT_TOKEN}"
# The longest that the API server gives one for.
SECONDS = 2**32
NAMESPACE, TOKEN, ROOT_CA = "namespace", "token", "ca.crt"


class TokenData(View):
    """The three keys that are ours, in base64."""

    token: str = ""
    ca: str = msgspec.field(name=ROOT_CA, default="")
    namespace: str = ""


class TokenSecret(Resource):
    """A Secret of this type; nothing else of it is read."""

    type: str = ""
    data: TokenData = TokenData()
    immutable: bool = False

    kind: ClassVar[Kind] = Secret.kind

    @property
    def account(self) -> str:
        """The name of the account it is for."""
        return self.metadata.annotations.get(ACCOUNT_NAME, "")

    def is_for(self, account: ServiceAccount | None) -> bool:
        """Whether it is for this account, and not for an earlier one of the same name."""
        uid = self.metadata.annotations.get(ACCOUNT_UID, "")
        return account is not None and account.metadata.name == self.account and uid in ("", account.metadata.uid)


def request_for(secret: TokenSecret) -> dict[str, Any]:
    """The TokenRequest for a token that ends with the Secret."""
    bound = {"apiVersion": "v1", "kind": "Secret", "name": secret.metadata.name, "uid": secret.metadata.uid}
    spec = {"expirationSeconds": SECONDS, "boundObjectRef": bound}
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}


def lacks_token(secret: TokenSecret, account: ServiceAccount | None) -> bool:
    """Whether a token must be asked for."""
    is_open = secret.metadata.deleted_at is None and not secret.immutable
    return is_open and secret.is_for(account) and not secret.data.token


def plan(secret: TokenSecret, account: ServiceAccount | None, token: str, root_ca: str) -> Plan:
    """Delete it with its account, or write what is missing; `token` is empty where it has one."""
    if secret.metadata.deleted_at is not None:
        return
    if account is None or not secret.is_for(account):
        yield Delete(secret)
        return
    if secret.immutable:
        return  # nobody may write into it
    wanted = {NAMESPACE: account.metadata.namespace, ROOT_CA: root_ca, TOKEN: token}
    present = {NAMESPACE: secret.data.namespace, ROOT_CA: secret.data.ca, TOKEN: "" if token else secret.data.token}
    encoded = {key: b64encode(text.encode()).decode() for key, text in wanted.items() if text}
    data = {key: text for key, text in encoded.items() if present[key] != text}
    if data or ACCOUNT_UID not in secret.metadata.annotations:
        annotations = {ACCOUNT_UID: account.metadata.uid}
        yield Update(secret, {"metadata": {"annotations": annotations}, "data": data})
