"""The story of a cluster, with real kubectl and real Docker: what a person types on the first day."""

import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from cluster.live_cluster import CommandFailed, LiveCluster, Shop, engine, eventually
from cluster.spdy_client import SpdyClient

from wherry.machinery.channels import decode_status

pytestmark = pytest.mark.xdist_group("story")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveCluster]:
    engine()
    cluster = LiveCluster(tmp_path_factory.mktemp("story"))
    try:
        cluster.wherry("up")
        yield cluster
    finally:
        cluster.wherry("down", "--purge")


@pytest.fixture(scope="module")
def shop(cluster: LiveCluster) -> Shop:
    """The sample, shared by tests that leave three good pods behind."""
    shop = Shop(cluster)
    shop.open()
    return shop


@pytest.fixture
def own_shop(cluster: LiveCluster) -> Iterator[Shop]:
    """The sample, for a test that spoils it."""
    shop = Shop(cluster)
    shop.open()
    yield shop
    shop.close()


def test_the_machine_is_a_node(cluster: LiveCluster) -> None:
    (line,) = cluster.kubectl("get", "nodes", "-o", "wide", "--no-headers").splitlines()

    assert " Ready " in line
    assert "docker://" in line


def test_the_sample_runs_as_containers(shop: Shop) -> None:
    lines = shop.kubectl("get", "pods", "-o", "wide", "--no-headers").splitlines()

    assert [line.split()[1:4] for line in lines] == [["1/1", "Running", "0"]] * 3
    assert {shop.web_container(name)["State"] for name in shop.names()} == {"running"}


def test_describe_tells_what_happened_to_a_pod(shop: Shop) -> None:
    described = shop.kubectl("describe", "pod", shop.names()[0])

    for reason in ("Scheduled", "Pulled", "Created", "Started"):
        assert f" {reason} " in described


def test_logs_follow_a_pod(shop: Shop) -> None:
    pod = shop.names()[0]
    with shop.cluster.start("-n", shop.namespace, "logs", "-f", pod) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "version 1 listening on port 8080\n"

        shop.kubectl("exec", pod, "--", "sh", "-c", "wget -qO- http://localhost:8080/missing || true")

        assert any("404" in line for line in following.stdout)
        following.kill()


def test_exec_carries_input_output_and_the_exit_code(shop: Shop) -> None:
    script = "read word; echo got $word; exit 3"
    with pytest.raises(CommandFailed, match="got wind") as failed:
        shop.kubectl("exec", "-i", shop.names()[0], "--", "sh", "-c", script, stdin="wind\n")

    assert "exit code 3" in str(failed.value)


def test_exec_gives_a_terminal(shop: Shop) -> None:
    ours, theirs = pty.openpty()
    command = ("-n", shop.namespace, "exec", "-it", shop.names()[0], "--", "sh")
    with (
        open(ours, "wb", buffering=0) as typed,
        open(theirs, "rb") as terminal,
        shop.cluster.start(*command, stdin=terminal, stderr=subprocess.STDOUT) as shell,
    ):
        typed.write(b"test -t 0 && echo $((6 * 7))\nexit\n")
        assert shell.stdout is not None
        assert "42" in shell.stdout.read()


@pytest.mark.parametrize("what", ["deploy/web", "svc/web"])
def test_a_port_of_the_machine_leads_into_a_pod(shop: Shop, what: str) -> None:
    with shop.cluster.start("-n", shop.namespace, "port-forward", what, ":80" if "svc" in what else ":8080") as forward:
        assert forward.stdout is not None
        port = re.match(r"Forwarding from 127.0.0.1:(\d+) -> 8080\n", forward.stdout.readline())
        assert port is not None

        pages = [urlopen(f"http://127.0.0.1:{port[1]}", timeout=10).read().decode() for _ in range(2)]

        forward.kill()
    assert {name for name in shop.names() for page in pages if name in page} != set()
    assert pages[0] == pages[1]


def test_an_old_client_runs_a_command_over_spdy(shop: Shop) -> None:
    path = f"/api/v1/namespaces/{shop.namespace}/pods/{shop.names()[0]}/exec?stdin=true&stdout=true&stderr=true"
    command = "&command=sh&command=-c&command=tr+a-z+A-Z;echo+err+>%262;exit+3"

    with SpdyClient(shop.cluster.kubeconfig, path + command, "v4.channel.k8s.io") as client:
        stdin = [client.open(streamtype=name) for name in ("error", "stdin", "stdout", "stderr")][1]
        client.say(stdin, b"wind")
        heard = client.hear("stdout", "stderr", "error")

    assert client.head.startswith(b"HTTP/1.1 101 ")
    assert (heard["stdout"], heard["stderr"]) == (b"WIND", b"err\n")
    assert decode_status(heard["error"]).exit_code == 3


def test_an_old_client_forwards_a_port_over_spdy(shop: Shop) -> None:
    path = f"/api/v1/namespaces/{shop.namespace}/pods/{shop.names()[0]}/portforward"

    with SpdyClient(shop.cluster.kubeconfig, path, "portforward.k8s.io") as client:
        client.open(streamtype="error", port="8080", requestid="0")
        data = client.open(streamtype="data", port="8080", requestid="0")
        client.say(data, b"GET / HTTP/1.0\r\n\r\n")

        assert b"Hello from " in client.hear("data", "error")["data"]


def test_an_old_client_that_speaks_no_protocol_of_ours_is_refused(shop: Shop) -> None:
    path = f"/api/v1/namespaces/{shop.namespace}/pods/{shop.names()[0]}/exec?stdout=true&command=ls"

    with SpdyClient(shop.cluster.kubeconfig, path, "v9.channel.k8s.io") as client:
        assert client.head.startswith(b"HTTP/1.1 403 ")


def test_pods_services_and_nodes_answer_through_the_api_server(shop: Shop) -> None:
    space, pod = f"/api/v1/namespaces/{shop.namespace}", shop.names()[0]
    node = shop.kubectl("get", "pod", pod, "-o", "jsonpath={.spec.nodeName}")

    assert "version 1" in shop.kubectl("get", "--raw", f"{space}/pods/{pod}:8080/proxy/")
    assert "version 1" in shop.kubectl("get", "--raw", f"{space}/services/http:web:80/proxy/")
    assert shop.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/healthz") == "ok"


def test_a_deployment_scales(shop: Shop) -> None:
    shop.kubectl("scale", "deploy/web", "--replicas=5")
    shop.rolled_out()
    assert len(shop.names()) == 5

    shop.kubectl("scale", "deploy/web", "--replicas=3")
    eventually(lambda: len(shop.names()) == 3)


def test_a_new_image_rolls_out_and_back(shop: Shop) -> None:
    shop.kubectl("set", "image", "deploy/web", "web=wherry/web:v2")
    shop.rolled_out()
    assert "(version 2)" in _page(shop)

    shop.kubectl("rollout", "undo", "deploy/web")
    shop.rolled_out()
    assert "(version 1)" in _page(shop)


def test_a_deleted_pod_is_replaced(shop: Shop) -> None:
    lost = shop.names()[0]

    shop.kubectl("delete", "pod", lost)

    eventually(lambda: len(shop.names()) == 3 and lost not in shop.names())
    shop.rolled_out()


def test_a_killed_container_is_restarted_and_counted_and_then_backed_off(own_shop: Shop) -> None:
    pod = own_shop.names()[0]

    engine().kill(own_shop.web_container(pod)["Id"])
    eventually(lambda: own_shop.restarts(pod) == 1)
    eventually(lambda: own_shop.web_container(pod)["State"] == "running")
    engine().kill(own_shop.web_container(pod)["Id"])

    eventually(lambda: "CrashLoopBackOff" in own_shop.kubectl("get", "pod", pod))


def test_a_service_answers_by_name_in_pods_and_by_address_on_the_machine(shop: Shop) -> None:
    page = shop.kubectl("exec", "deploy/web", "--", "wget", "-qO-", f"http://web.{shop.namespace}.svc.cluster.local")
    assert page.splitlines()[1] == "motto.txt: Fair winds and following seas"

    address = shop.kubectl("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}")
    assert "Hello from web-" in shop.cluster.run("curl", "-sS", "-m", "5", f"http://{address}")


def test_only_ready_pods_answer(own_shop: Shop) -> None:
    ready, *others = own_shop.names()
    for name in others:
        own_shop.kubectl("exec", name, "--", "rm", "/www/healthz")

    eventually(lambda: _ready_endpoints(own_shop) == 1)
    assert f"Hello from {ready} " in _page(own_shop)


def test_a_deleted_namespace_is_gone_from_docker_too(own_shop: Shop) -> None:
    own_shop.cluster.kubectl("delete", "ns", own_shop.namespace, "--timeout=30s")

    assert own_shop.cluster.containers(**{"io.kubernetes.pod.namespace": own_shop.namespace}) == []


@pytest.mark.parametrize("component", ["apiserver", "controllers", "scheduler", "kubelet", "kubeproxy"])
def test_a_killed_component_comes_back_and_no_pod_notices(shop: Shop, component: str) -> None:
    cluster = shop.cluster
    name = next(name for name in cluster.processes() if name.startswith(component))
    killed = cluster.processes()[name]
    before = {pod: shop.web_container(pod)["Id"] for pod in shop.names()}

    os.kill(killed, signal.SIGKILL)

    eventually(lambda: cluster.processes().get(name, killed) != killed)
    eventually(lambda: "3/3" in _deployment(shop))
    shop.kubectl("scale", "deploy/web", "--replicas=4")
    shop.rolled_out()
    assert before.items() <= {pod: shop.web_container(pod)["Id"] for pod in shop.names()}.items()
    eventually(lambda: "Hello" in _page(shop))
    shop.kubectl("scale", "deploy/web", "--replicas=3")
    eventually(lambda: len(shop.names()) == 3)


def _ready_endpoints(shop: Shop) -> int:
    chosen = ("endpointslices", "-l", "kubernetes.io/service-name=web")
    listed = shop.cluster.get("-n", shop.namespace, *chosen)["items"]
    return sum(endpoint["conditions"]["ready"] for piece in listed for endpoint in piece["endpoints"])


def _deployment(shop: Shop) -> str:
    try:
        return shop.kubectl("get", "deploy", "web")
    except CommandFailed:
        return ""  # the API server is on its way back


def _page(shop: Shop) -> str:
    """What the service answers, empty if it does not."""
    return shop.kubectl("exec", "deploy/web", "--", "sh", "-c", "wget -qO- http://web || true")
