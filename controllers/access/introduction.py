"""Sign the config map kube-public/cluster-info with every bootstrap token that may sign. Kubernetes: bootstrapsigner.

Whoever is given a token reads the config map, which anybody may, and knows by the signature that the certificate in it
is that of the cluster whose token it is.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable

import orjson

from wherry.api.core.bootstrap_token import BootstrapToken
from wherry.api.core.config_map import ConfigMap
from wherry.client.plan import Plan, Update

NAMESPACE, NAME, KEY, SIGNATURE = "kube-public", "cluster-info", "kubeconfig", "jws-kubeconfig-"


def plan(info: ConfigMap, tokens: Iterable[BootstrapToken]) -> Plan:
    """Add, renew and remove signatures."""
    content = info.data.get(KEY)
    if content is None or info.metadata.deleted_at is not None:
        return
    wanted = {SIGNATURE + token.data.id: signature(content, token) for token in tokens if token.may_sign}
    present = {key: text for key, text in info.data.items() if key.startswith(SIGNATURE)}
    if present != wanted:
        yield Update(info, {"data": dict.fromkeys(present) | wanted})


def signature(content: str, token: BootstrapToken) -> str:
    """A JSON web signature (HS256) without its content, which stands beside it."""
    header = _encoded(orjson.dumps({"alg": "HS256", "kid": token.data.id}))
    signed = f"{header}.{_encoded(content.encode())}"
    return f"{header}..{_encoded(hmac.digest(token.data.secret.encode(), signed.encode(), hashlib.sha256))}"


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
