"""Builders of EndpointSlices for these tests."""

from typing import Any

from make import an_object

from wherry.api.discovery.endpoint_slice import EndpointSlice


def an_endpoint(address: str, *, ready: bool | None = True, node: str = "node-1", **more: Any) -> dict[str, Any]:
    """One endpoint; `serving`, `terminating` and `hostname` as they are on the wire."""
    conditions = {name: more.pop(name) for name in ("serving", "terminating") if name in more}
    return {"addresses": [address], "conditions": {"ready": ready, **conditions}, "nodeName": node, **more}


def a_slice(service: str, *endpoints: dict[str, Any], ports: Any = (("http", 8080),), **more: Any) -> EndpointSlice:
    """A slice of `service` in the namespace default; `ports` are pairs of name and number."""
    fields = {
        "addressType": more.pop("address_type", "IPv4"),
        "ports": [{"name": name, "port": port, "protocol": "TCP"} for name, port in ports],
        "endpoints": list(endpoints),
    }
    name = more.pop("name", f"{service}-1")
    labels = {"kubernetes.io/service-name": service}
    made = an_object(EndpointSlice, name, api_version="discovery.k8s.io/v1", labels=labels, fields=fields, **more)
    assert isinstance(made, EndpointSlice)
    return made
