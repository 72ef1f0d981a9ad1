"""Delete bootstrap tokens that have expired. Kubernetes: the tokencleaner.

The API server believes no expired token; deleting them leaves nothing behind that somebody could extend.
"""

from __future__ import annotations

from wherry.api.core.bootstrap_token import BootstrapToken
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Delete, Plan
from wherry.client.world import World


@controller(BootstrapToken)
def plan(token: BootstrapToken, world: World) -> Plan:
    """Delete it when its time has come; other secrets are none of ours."""
    if not token.is_one or token.metadata.deleted_at is not None:
        return
    if token.is_expired(world.now):
        yield Delete(token)
    elif token.expires_at is not None:
        yield CheckAgain((token.expires_at - world.now).total_seconds())
