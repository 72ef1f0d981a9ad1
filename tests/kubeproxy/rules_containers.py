"""A container that sets rules, as `wherry up` makes it, in a network of its own: one for all tests of a process."""

import atexit
import functools
import os
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import docker
import docker.errors
import pytest

from wherry.cluster.layout import Layout
from wherry.cluster.machine.rules_container import have_rules_container
from wherry.cluster.problem import ClusterProblem

ENGINE = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


class RulesContainer(NamedTuple):
    """Its name, and the process whose namespaces are its own."""

    name: str
    pid: int


@functools.cache
def a_rules_container() -> RulesContainer:
    """Skips the test where there can be none."""
    layout = Layout(f"wkp-{uuid4().hex[:6]}", Path("/nowhere"))
    try:
        with closing(_engine()) as client:
            name = have_rules_container(client, layout, network="none")
            atexit.register(_remove, name)
            return RulesContainer(name, client.inspect_container(name)["State"]["Pid"])
    except (docker.errors.DockerException, ClusterProblem) as problem:
        pytest.skip(str(problem))


def _remove(name: str) -> None:
    with closing(_engine()) as client:
        client.remove_container(name, force=True)


def _engine() -> docker.APIClient:
    return docker.APIClient(ENGINE, version="auto", timeout=30)
