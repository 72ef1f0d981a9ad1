"""Service account tokens for pods, bound to the pod's life and renewed at four fifths of their own."""

from __future__ import annotations

from datetime import timedelta

from wherry.api.core.pod import Pod
from wherry.api.core.service_account import ServiceAccount
from wherry.client import clock
from wherry.client.http import Client
from wherry.machinery.time import parse_time
from wherry.volumes import Token

_RENEW_AFTER = 0.8
# Kubernetes' kubelet renews a token at the latest after a day.
_LONGEST = timedelta(hours=24)
# Where the server's clock is far behind ours a token seems to have ended already: no reason to ask without pause.
_SHORTEST = timedelta(minutes=1)


class Tokens:
    """One token per pod, audience and life time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tokens: dict[tuple[str, str, int], Token] = {}

    async def token(self, pod: Pod, audience: str, seconds: int) -> Token:
        """The current token, asked for anew when it is time."""
        key = (pod.metadata.uid, audience, seconds)
        known = self._tokens.get(key)
        now = clock.now()
        if known is not None and now < known.refresh_at:
            return known
        bound = {"kind": "Pod", "apiVersion": "v1", "name": pod.metadata.name, "uid": pod.metadata.uid}
        spec = {"audiences": [audience] if audience else [], "expirationSeconds": seconds, "boundObjectRef": bound}
        request = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec}
        account = pod.spec.service_account_name or "default"
        path = ServiceAccount.kind.path(pod.metadata.namespace, account, "token")
        status = (await self._client.request("POST", path, body=request))["status"]
        life = parse_time(status["expirationTimestamp"]) - now
        token = Token(status["token"], now + max(_SHORTEST, min(life * _RENEW_AFTER, _LONGEST)))
        self._tokens[key] = token
        return token

    def forget(self, pod_uid: str) -> None:
        """The pod is gone."""
        self._tokens = {key: token for key, token in self._tokens.items() if key[0] != pod_uid}
