"""The pytest plugin: `wherry_cluster`, one cluster for all tests of a run (of a worker, with pytest-xdist).

    def test_it_deploys(wherry_cluster):
        client = kubernetes.config.new_client_from_config(wherry_cluster.kubeconfig)

Tests share it, so each works in a namespace of its own. The ini option `wherry_nodes` says how many nodes it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from wherry.testing import Cluster


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini("wherry_nodes", "how many nodes the cluster of the fixture wherry_cluster has", default="2")


@pytest.fixture(scope="session")
def wherry_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster that is ready, shared by all tests of the session."""
    from wherry.testing import cluster

    with cluster(nodes=int(request.config.getini("wherry_nodes"))) as ready:
        yield ready
