"""Services: who is behind them, how they are reached, what they are called."""

from typing import Any

import pytest
from live_api import Space, eventually
from live_pods import IMAGE, a_container, a_live_pod, a_script, is_ready, is_running

Object = dict[str, Any]
UDP = "while true; do hostname | nc -u -l -p 9090 -w 1; done & "


def a_server(name: str, **labels: str) -> Object:
    """A pod that tells its name by HTTP on 8080 and 8081."""
    script = "mkdir /w; hostname > /w/index.html; httpd -p 8081 -h /w; httpd -f -p 8080 -h /w & wait"
    ports = [{"name": "web", "containerPort": 8080}]
    container = a_container("main", script, ports=ports)
    probe = {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 1}
    return a_live_pod(name, container | {"readinessProbe": probe}, labels={"app": "web", **labels})


def a_service(name: str, *ports: Object, **spec: Any) -> Object:
    listed = list(ports) or [{"name": "http", "port": 80, "targetPort": "web"}]
    spec = {"selector": {"app": "web"}, "ports": listed, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def shop(shared) -> Space:
    """Two servers, and a client from which to ask."""
    for name in ("one", "two"):
        shared.create(a_server(name, who=name))
    shared.create(a_live_pod("client"))
    shared.create(a_live_pod("node-client", hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"))
    for name in ("one", "two", "client", "node-client"):
        shared.until("Pod", name, is_ready)
    return shared


def answer(shop: Space, address: str, pod: str = "client") -> str:
    return shop.run(pod, "timeout", "3", "wget", "-qO-", f"http://{address}/").strip()


def answers(shop: Space, address: str, times: int = 12, pod: str = "client") -> set[str]:
    loop = f"for i in $(seq {times}); do timeout 3 wget -qO- http://{address}/; done"
    return set(shop.run(pod, "sh", "-c", loop).split())


def looked_up(shop: Space, name: str, kind: str = "a") -> str:
    return shop.run("client", "nslookup", f"-type={kind}", name)


def ready_addresses(shop: Space, service: str) -> list[str]:
    slices = shop.all("EndpointSlice", labelSelector=f"kubernetes.io/service-name={service}")
    ends = [end for each in slices for end in each["endpoints"] if end["conditions"]["ready"]]
    return sorted(address for end in ends for address in end["addresses"])


def address_of(shop: Space, pod: str) -> str:
    return shop.get("Pod", pod)["status"]["podIP"]


@pytest.mark.parametrize("client", ["client", "node-client"])
def test_a_service_leads_to_its_pods(shop, client):
    name = f"plain-{client}"
    address = shop.create(a_service(name))["spec"]["clusterIP"]
    eventually(lambda: len(ready_addresses(shop, name)) == 2)

    eventually(lambda: answers(shop, address, pod=client) == {"one", "two"})
    assert answer(shop, name, client) in ("one", "two")


def test_endpoints_and_slices_say_the_same(shop):
    shop.create(
        a_service(
            "told",
            {"name": "named", "port": 80, "targetPort": "web"},
            {"name": "numbered", "port": 81, "targetPort": 8081},
        )
    )
    pods = sorted(address_of(shop, name) for name in ("one", "two"))
    eventually(lambda: ready_addresses(shop, "told") == pods)

    [subset] = shop.until("Endpoints", "told", lambda ep: ep.get("subsets"))["subsets"]
    [piece] = shop.all("EndpointSlice", labelSelector="kubernetes.io/service-name=told")

    assert sorted(address["ip"] for address in subset["addresses"]) == pods
    assert {port["name"]: port["port"] for port in subset["ports"]} == {"named": 8080, "numbered": 8081}
    assert {port["name"]: port["port"] for port in piece["ports"]} == {"named": 8080, "numbered": 8081}
    assert piece["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    assert {end["targetRef"]["name"] for end in piece["endpoints"]} == {"one", "two"}


def test_slices_and_endpoints_come_back(shop):
    shop.create(a_service("again"))
    eventually(lambda: len(ready_addresses(shop, "again")) == 2)

    shop.delete_all("EndpointSlice", labelSelector="kubernetes.io/service-name=again")
    shop.delete("Endpoints", "again")

    eventually(lambda: len(ready_addresses(shop, "again")) == 2)
    shop.until("Endpoints", "again", lambda ep: ep.get("subsets"))


def test_a_service_without_pods_has_an_empty_slice_which_goes_with_it(shop):
    shop.create(a_service("lonely", selector={"app": "none"}))
    selector = "kubernetes.io/service-name=lonely"

    [piece] = eventually(lambda: shop.all("EndpointSlice", labelSelector=selector))
    shop.delete("Service", "lonely")

    assert not piece["endpoints"]
    assert piece["metadata"]["ownerReferences"][0]["name"] == "lonely"
    eventually(lambda: not shop.all("EndpointSlice", labelSelector=selector))
    shop.until_gone("Endpoints", "lonely")


def test_traffic_follows_the_pods(shop):
    address = shop.create(a_service("moving", selector={"round": "yes"}))["spec"]["clusterIP"]
    for name in ("one", "two"):
        shop.patch("Pod", name, {"metadata": {"labels": {"round": "yes"}}})
        eventually(lambda name=name: name in answers(shop, address))

    shop.patch("Pod", "one", {"metadata": {"labels": {"round": None}}})

    eventually(lambda: answers(shop, address) == {"two"})


def test_each_port_leads_to_its_own(shop):
    ports = ({"name": "a", "port": 80, "targetPort": 8080}, {"name": "b", "port": 81, "targetPort": 8081})
    address = shop.create(a_service("ports", *ports, selector={"who": "one"}))["spec"]["clusterIP"]

    eventually(lambda: [answer(shop, f"{address}:{port}") for port in (80, 81)] == ["one", "one"])


def test_a_node_port_leads_to_the_pods(shop):
    service = shop.create(a_service("at-node", type="NodePort"))
    port = service["spec"]["ports"][0]["nodePort"]
    node = shop.get("Pod", "client")["status"]["hostIP"]

    eventually(lambda: answers(shop, f"{node}:{port}") == {"one", "two"})
    assert 30000 <= port < 32768


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_affinity_keeps_a_client_with_a_pod_until_it_is_switched_off(shop, kind):
    name = f"sticky-{kind.lower()}"
    service = shop.create(a_service(name, type=kind, sessionAffinity="ClientIP"))
    place = service["spec"]["clusterIP"]
    if kind == "NodePort":
        place = f"{shop.get('Pod', 'client')['status']['hostIP']}:{service['spec']['ports'][0]['nodePort']}"
    eventually(lambda: len(answers(shop, place)) == 1)
    assert all(len(answers(shop, place)) == 1 for _ in range(2))

    shop.patch("Service", name, {"spec": {"sessionAffinity": "None", "sessionAffinityConfig": None}}, "merge")

    eventually(lambda: len(answers(shop, place, 20)) == 2)
    shop.patch("Service", name, {"spec": {"sessionAffinity": "ClientIP"}}, "merge")
    eventually(lambda: len(answers(shop, place, 20)) == 1)


def test_the_api_has_its_names(shop):
    address = shop.api.call("GET", "/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]

    for name in ("kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"):
        assert address in shop.run("client", "ping", "-c1", "-W1", name)
    assert address in looked_up(shop, "kubernetes.default.svc.cluster.local")


def test_services_have_addresses_and_ports_by_name(shop):
    address = shop.create(a_service("named"))["spec"]["clusterIP"]
    shop.create(a_service("headless", clusterIP="None"))
    full = f"{shop.namespace}.svc.cluster.local"
    pods = {address_of(shop, name) for name in ("one", "two")}

    eventually(lambda: address in looked_up(shop, f"named.{full}"))
    eventually(lambda: all(pod in looked_up(shop, f"headless.{full}") for pod in pods))
    assert f"80 named.{full}" in looked_up(shop, f"_http._tcp.named.{full}", "srv")
    back = ".".join(reversed(address.split(".")))
    assert f"named.{full}" in looked_up(shop, f"{back}.in-addr.arpa", "ptr")


def test_pods_have_names_under_their_subdomain(shop):
    shop.create(a_service("family", {"name": "http", "port": 1234}, clusterIP="None", selector={"family": "yes"}))
    script = "until nslookup child.family.$NS.svc.cluster.local | grep $(hostname -i); do sleep 0.2; done; " + WAITS
    env = [{"name": "NS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]
    shop.create(
        a_script("kid", script, container={"env": env}, hostname="child", subdomain="family", labels={"family": "yes"})
    )
    full = f"{shop.namespace}.svc.cluster.local"

    address = shop.until("Pod", "kid", is_running)["status"]["podIP"]

    eventually(lambda: address in shop.logs("kid"))
    eventually(lambda: address in looked_up(shop, f"family.{full}"))
    assert f"child.family.{full}" in shop.run("kid", "hostname", "-f")


WAITS = "trap 'exit 0' TERM; sleep 3600 & wait"


def test_a_service_may_be_but_a_name_and_become_an_address(shop):
    full = f"elsewhere.{shop.namespace}.svc.cluster.local"
    spec = {"type": "ExternalName", "externalName": "foo.example.com"}
    shop.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "elsewhere"}, "spec": spec})
    eventually(lambda: "foo.example.com" in looked_up(shop, full, "cname"))

    shop.patch("Service", "elsewhere", {"spec": {"externalName": "bar.example.com"}}, "merge")
    eventually(lambda: "bar.example.com" in looked_up(shop, full, "cname"))
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    change = {"type": "NodePort", "externalName": None, "ports": ports, "selector": {"app": "web"}}
    address = shop.patch("Service", "elsewhere", {"spec": change}, "merge")["spec"]["clusterIP"]
    eventually(lambda: address in looked_up(shop, full))
    eventually(lambda: answer(shop, full) in ("one", "two"))

    back = {"type": "ExternalName", "externalName": "baz.example.com", "clusterIP": None, "clusterIPs": None}
    after = shop.patch("Service", "elsewhere", {"spec": back}, "merge")["spec"]
    eventually(lambda: "baz.example.com" in looked_up(shop, full, "cname"))
    assert [after.get("clusterIP", ""), after["ports"][0].get("nodePort")] == ["", None]


def test_names_are_told_by_tcp_too(shop):
    [line] = [line for line in shop.run("client", "cat", "/etc/resolv.conf").splitlines() if "nameserver" in line]
    query = b"\0\x2a\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x0akubernetes\x07default\x03svc\x07cluster\x05local\0\0\x01\0\x01"
    query = (len(query) - 2).to_bytes(2, "big") + query[2:]
    text = "".join(f"\\x{byte:02x}" for byte in query)
    ask = f"printf '{text}' | nc -w 2 {line.split()[1]} 53 | od -An -tu1 | tr -d '\\n'"

    address = shop.api.call("GET", "/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]
    numbers = shop.run("client", "sh", "-c", ask).split()
    assert numbers[-4:] == address.split(".")


def test_host_ports_differ_by_address_or_protocol(shop):
    node = shop.get("Pod", "client")["status"]["hostIP"]
    kinds = {"loopback": ("127.0.0.1", "TCP"), "node": (node, "TCP"), "datagrams": (node, "UDP")}
    for name, (address, protocol) in kinds.items():
        port = {"containerPort": 8080, "hostPort": 54323, "hostIP": address, "protocol": protocol}
        script = f"mkdir /w; echo {name} > /w/index.html; httpd -f -p 8080 -h /w"
        shop.create(a_script(f"hp-{name}", script, container={"ports": [port], "image": IMAGE}))
    for name in kinds:
        shop.until("Pod", f"hp-{name}", is_ready)

    assert answer(shop, "127.0.0.1:54323", "node-client") == "loopback"
    assert answer(shop, f"{node}:54323", "node-client") == "node"
    everywhere = {"containerPort": 8080, "hostPort": 54323, "protocol": "TCP"}
    shop.create(a_script("hp-all", "true", container={"ports": [everywhere]}))
    shop.until("Pod", "hp-all", is_unschedulable)


def is_unschedulable(pod: Object) -> bool:
    return any(c.get("reason") == "Unschedulable" for c in pod["status"].get("conditions", ()))


def test_custom_endpoints_are_mirrored(shop):
    service = a_service("custom", {"name": "http", "port": 80})
    del service["spec"]["selector"]
    shop.create(service)
    subsets = [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "http", "port": 80}]}]
    shop.create({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "custom"}, "subsets": subsets})

    eventually(lambda: ready_addresses(shop, "custom") == ["10.1.2.3"], 10)
    subsets[0]["addresses"][0]["ip"] = "10.1.2.4"
    shop.patch("Endpoints", "custom", {"subsets": subsets}, "merge")
    eventually(lambda: ready_addresses(shop, "custom") == ["10.1.2.4"], 10)
    shop.delete("Endpoints", "custom")
    eventually(lambda: ready_addresses(shop, "custom") == [], 10)
