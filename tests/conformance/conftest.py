"""A cluster for the tests of conformance, and a namespace for each test that asks for one.

It is one of `wherry up` with a name, a port and files of its own: with a real node where root and Docker are there,
else with a fake one, and what needs the real one is skipped. WHERRY_CONFORMANCE_KUBECONFIG names a cluster that runs
already, which need not be Wherry's.

The tests of a file share a namespace and the pods in it, so a worker of pytest-xdist takes whole files
(`--dist loadgroup`).
"""

import io
import os
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import docker
import pytest
from live_api import KUBECTL, Api, Refused, Space
from live_pods import ENTRY_IMAGE, IMAGE
from live_rows import numbered

WHERRY = Path(sys.executable).with_name("wherry")
NEEDS_NO_NODE = ("test_serving_the_api", "test_verbs_of_kinds")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of each file stay together; most of them need a node."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
            if item.path.stem not in NEEDS_NO_NODE and (why := why_no_real_node()):
                item.add_marker(pytest.mark.skip(reason=why))


def an_engine() -> docker.APIClient:
    """A client of the Docker that `wherry up` uses."""
    return docker.APIClient(**docker.utils.kwargs_from_env(), version="auto", timeout=30)


@cache
def why_no_real_node() -> str:
    """Empty where containers can be run and led to."""
    if os.environ.get("WHERRY_CONFORMANCE_KUBECONFIG"):
        return ""
    if os.geteuid() != 0:
        return "rules for services are written as root"
    # Asked by another process: the SDK leaves a socket open when it fails.
    asked = subprocess.run((sys.executable, "-c", "import docker; docker.from_env().ping()"), capture_output=True)
    return "no Docker daemon answers" if asked.returncode else ""


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory) -> Iterator[str]:
    """Of a cluster with one node, real if it can be."""
    if given := os.environ.get("WHERRY_CONFORMANCE_KUBECONFIG"):
        yield given
        return
    folder = tmp_path_factory.mktemp("cluster")
    which = ("--name", f"cf-{uuid.uuid4().hex[:6]}", "--data-dir", str(folder / "data"))
    nodes = ("--no-node", "--fake-nodes", "1") if why_no_real_node() else ()
    try:
        subprocess.run((WHERRY, "up", *which, *nodes, "--kubeconfig", folder / "config"), check=True, timeout=90)
        yield str(folder / "config")
    finally:
        done = subprocess.run((WHERRY, "down", *which, "--purge"), capture_output=True, text=True, timeout=90)
        # Engines lose count of what is on a network, rarely and under load; that is theirs to mend.
        assert done.returncode == 0 or "holds on to the network" in done.stderr, done.stderr


@pytest.fixture(scope="session")
def api(kubeconfig) -> Iterator[Api]:
    api = Api(kubeconfig)
    yield api
    api.close()


@pytest.fixture(scope="session")
def new_space(api) -> Callable[[str], Space]:
    """Makes namespaces in which pods are welcome."""

    def make(prefix: str, **labels: str) -> Space:
        metadata = {"generateName": f"{prefix}-", "labels": labels}
        made = api.call("POST", "/api/v1/namespaces", {"metadata": metadata})
        space = Space(api, made["metadata"]["name"])
        space.until("ServiceAccount", "default", bool)
        return space

    return make


def drop(space: Space) -> None:
    try:
        space.delete("Namespace", space.namespace)
    except Refused as refused:
        if refused.code not in (404, 409):
            raise


@pytest.fixture
def space(new_space) -> Iterator[Space]:
    """A namespace of this test's own."""
    made = new_space("conf")
    yield made
    drop(made)


@pytest.fixture(scope="module")
def shared(new_space) -> Iterator[Space]:
    """A namespace that the tests of a module share."""
    made = new_space("conf-shared")
    yield made
    drop(made)


@pytest.fixture(scope="module")
def started(request, shared, entry_image) -> Space:
    """The pods of a module's `ROWS`, created at once, and what they read."""
    for kind, data, letter in (("ConfigMap", "data", ""), ("Secret", "stringData", "s")):
        name = "keys" if letter else "settings"
        values = {"one": f"{letter}1", "two": f"{letter}2"}
        shared.create({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, data: values})
    spec = {"ports": [{"port": 8765, "targetPort": 8080}], "selector": {"none": "here"}}
    shared.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": spec})
    for number, row in enumerate(request.module.ROWS):
        shared.create(numbered(number, row.pod))
    return shared


@pytest.fixture(scope="module")
def words(started) -> dict[str, str]:
    """What cannot be known before the cluster runs."""
    api = started.api.call("GET", "/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]
    [node] = started.names("Node")
    dns = api.rsplit(".", 1)[0] + ".10"
    shop = started.get("Service", "shop")["spec"]["clusterIP"]
    return {"namespace": started.namespace, "api": api, "node": node, "dns": dns, "shop": shop}


@pytest.fixture
def kubectl(kubeconfig, space) -> Callable[..., str]:
    """kubectl in the namespace of the test; gives what it prints."""

    def run(*words: str, stdin: str = "", is_ok: bool = True) -> str:
        command = (KUBECTL, "--kubeconfig", kubeconfig, "-n", space.namespace, *words)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == is_ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def entry_image(kubeconfig) -> Iterator[str]:
    """An image with an entry point and arguments of its own: it prints its arguments, one in a line."""
    engine = an_engine()
    container = engine.create_container(IMAGE)["Id"]
    chunks, _ = engine.get_archive(container, "/bin")
    programs = b"".join(chunks)
    engine.remove_container(container)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(programs)) as bin_folder, tarfile.open(fileobj=buffer, mode="w") as out:
        for member in bin_folder:
            out.addfile(member, bin_folder.extractfile(member) if member.isreg() else None)
    changes = ['ENTRYPOINT ["printf", "%s\\\\n", "entry"]', 'CMD ["default"]', "WORKDIR /bin", "USER 65534"]
    repository, _, tag = ENTRY_IMAGE.partition(":")
    engine.import_image_from_data(buffer.getvalue(), repository=repository, tag=tag, changes=changes)
    yield ENTRY_IMAGE
    engine.close()
