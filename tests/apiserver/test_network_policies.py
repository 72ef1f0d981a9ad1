"""Network policies: kept, and said to be without effect."""

from tests.apiserver.local_api import running_api

POLICIES = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
DENY_ALL = {"metadata": {"name": "deny"}, "spec": {"podSelector": {}}}


async def test_who_writes_one_is_told_that_nothing_enforces_it() -> None:
    async with running_api() as api:
        made = await api.post(POLICIES, DENY_ALL)
        read = await api.get(f"{POLICIES}/deny")

    told = '299 - "nothing in this cluster enforces network policies: pods stay reachable, whatever this one says"'
    assert (made.status, made.all("warning"), read.all("warning")) == (201, [told], [])
