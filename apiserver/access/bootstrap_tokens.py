"""Bootstrap tokens: short-lived secrets by which a machine that is not yet a node may ask to become one.

A token `abcdef.0123456789abcdef` is the Secret kube-system/bootstrap-token-abcdef. Kubernetes: the bootstrap token
authenticator.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from typing import TYPE_CHECKING

from apiserver.request import User
from wherry.api.core.bootstrap_token import NAME_PREFIX, NAMESPACE, TYPE, BootstrapToken
from wherry.api.core.secret import Secret
from wherry.machinery.errors import Unauthorized

if TYPE_CHECKING:
    from apiserver.server import Server

GROUP = "system:bootstrappers"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def user_of_token(server: Server, token: str, audiences: tuple[str, ...] = ()) -> User:
    """Who holds a bearer token, of whichever sort it is; raises Unauthorized."""
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        return server.tokens.authenticate(token, server.now(), audiences)
    return _bootstrapper(server, parts[1], parts[2])


def _bootstrapper(server: Server, token_id: str, secret: str) -> User:
    stored = server.cache.of(Secret).get(NAMESPACE, NAME_PREFIX + token_id)
    token = BootstrapToken.read(stored.item) if stored is not None else None
    if token is None or not hmac.compare_digest(token.data.secret.encode(), secret.encode()):
        raise Unauthorized()
    if token.data.id != token_id or not _is_valid(token, server.now()):
        raise Unauthorized()
    extra = [group.strip() for group in token.data.groups.split(",") if group.strip()]
    if not all(_EXTRA_GROUP.fullmatch(group) for group in extra):
        raise Unauthorized()
    groups = dict.fromkeys((GROUP, *extra, "system:authenticated"))
    return User(f"system:bootstrap:{token_id}", tuple(groups))


def _is_valid(token: BootstrapToken, now: datetime) -> bool:
    return token.type == TYPE and token.metadata.deleted_at is None and token.may_log_in and not token.is_expired(now)
