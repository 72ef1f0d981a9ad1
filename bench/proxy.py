"""How fast kube-proxy plans, applies and answers names. Prints JSON; needs root and nft for the applying part.

    python bench/proxy.py [--services 1000] [--endpoints 3]

The rules go into a network namespace made for the purpose, never into the host's.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import time
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Network
from typing import Any

import dns.message

from kubeproxy.backends import NftablesBackend
from kubeproxy.backends.network import Network
from kubeproxy.dns.responder import Responder
from kubeproxy.dns.zone import Zone
from kubeproxy.plan import Here, Planner, plan
from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import EndpointSlice

PODS, SERVICES = IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/16")


def a_service(number: int) -> Service:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    spec = {"clusterIP": str(SERVICES[number + 100]), "ports": ports}
    return Service.read({"metadata": {"name": f"web-{number}", "namespace": "shop"}, "spec": spec})


def a_slice(number: int, endpoints: int, version: int = 0) -> EndpointSlice:
    first = number * endpoints + version + 100
    addresses = [str(PODS[(first + k) % 60000]) for k in range(endpoints)]
    return EndpointSlice.read(
        {
            "metadata": {
                "name": f"web-{number}-1",
                "namespace": "shop",
                "labels": {"kubernetes.io/service-name": f"web-{number}"},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": True}, "nodeName": "n"} for a in addresses],
        }
    )


def milliseconds(work: Callable[[], Any], times: int) -> float:
    """The best of several runs."""
    best = float("inf")
    for _ in range(times):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return round(best * 1000, 4)


async def elapsed(work: Awaitable[Any]) -> float:
    begun = time.perf_counter()
    await work
    return round((time.perf_counter() - begun) * 1000, 2)


async def applying(services: list[Service], slices: list[EndpointSlice], changed: list[EndpointSlice]) -> Any:
    if os.geteuid() != 0:
        return {"skipped": "applying rules needs root"}
    name = f"wkp-bench-{os.getpid()}"
    await Network().command("ip", "netns", "add", name)
    try:
        backend = NftablesBackend("bench", PODS, SERVICES, Network(name))
        before, after = plan(services, slices, Here("n")), plan(services, changed, Here("n"))
        return {
            "apply_all_ms": await elapsed(backend.apply(before)),
            "apply_one_change_ms": [await elapsed(backend.apply(rules)) for rules in (after, before, after)],
            "check_untouched_ms": await elapsed(backend.repair()),
        }
    finally:
        await Network().command("ip", "netns", "del", name)


def naming(services: list[Service], slices: list[EndpointSlice]) -> dict[str, float]:
    zone = Zone(services, slices)
    responder = Responder(zone)
    query = dns.message.make_query("web-7.shop.svc.cluster.local.", "A").to_wire()

    def first_time() -> None:
        responder.use(zone)
        responder.respond(query)

    def from_memory() -> None:
        for _ in range(10000):
            responder.respond(query)

    return {
        "zone_ms": milliseconds(lambda: Zone(services, slices), 3),
        "answer_first_us": round(milliseconds(first_time, 100) * 1000, 1),
        "answer_from_memory_us": round(milliseconds(from_memory, 5) / 10, 3),
    }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--endpoints", type=int, default=3)
    options = parser.parse_args()
    services = [a_service(number) for number in range(options.services)]
    slices = [a_slice(number, options.endpoints) for number in range(options.services)]
    changed = [a_slice(0, options.endpoints, 7), *slices[1:]]
    planner = Planner()
    worlds = itertools.cycle((slices, changed))
    figures = {
        "services": options.services,
        "endpoints": options.endpoints,
        "plan_ms": milliseconds(lambda: plan(services, slices, Here("n")), 3),
        "plan_one_change_ms": milliseconds(lambda: planner.plan(services, next(worlds), Here("n")), 6),
        "nftables": await applying(services, slices, changed),
        "dns": naming(services, slices),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
