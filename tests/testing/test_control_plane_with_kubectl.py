"""What kubectl sees of the control plane itself: its health, its service, and what is deprecated."""

import subprocess
from collections.abc import Callable, Iterator

import pytest
from cluster.live_cluster import kubectl as kubectl_path

import wherry.testing

pytestmark = pytest.mark.xdist_group("control_plane_with_kubectl")

Kubectl = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    """Standard output and errors of kubectl."""
    with wherry.testing.cluster(nodes=1) as cluster:

        def run(*words: str) -> tuple[str, str]:
            command = (kubectl_path(), "--kubeconfig", cluster.kubeconfig, *words)
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            return done.stdout, done.stderr

        yield run


def test_endpoints_are_deprecated_and_slices_are_not(kubectl: Kubectl):
    _, endpoints = kubectl("get", "endpoints", "-A")
    _, slices = kubectl("get", "endpointslices", "-A")

    assert endpoints.splitlines()[0] == (
        "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    )
    assert "deprecated" not in slices


def test_the_service_of_the_api_comes_back(kubectl: Kubectl):
    before, _ = kubectl("get", "service", "kubernetes", "-o", "jsonpath={.metadata.uid} {.spec}")

    kubectl("delete", "service", "kubernetes")
    kubectl("wait", "--for=create", "service/kubernetes", "--timeout=10s")

    after, _ = kubectl("get", "service", "kubernetes", "-o", "jsonpath={.metadata.uid} {.spec}")
    assert (after.split()[1:], after.split()[0] == before.split()[0]) == (before.split()[1:], False)


def test_every_component_of_a_running_cluster_is_healthy(kubectl: Kubectl):
    shown, warned = kubectl("get", "cs", "--no-headers")

    cells = {tuple(line.split()) for line in shown.splitlines()}
    assert cells == {(name, "Healthy", "ok") for name in ("scheduler", "controller-manager", "etcd-0")}
    assert warned == "Warning: v1 ComponentStatus is deprecated in v1.19+\n"
