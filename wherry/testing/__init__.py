"""A cluster for integration tests: a real API server, controllers, a scheduler and nodes without machines.

    with wherry.testing.cluster(nodes=2) as cluster:
        client = kubernetes.config.new_client_from_config(cluster.kubeconfig)

Ready in about a second, gone without a trace. pytest finds the fixture `wherry_cluster` by itself. Belongs here: what
people use to test programs of their own. Wherry's own tests use the parts directly.
"""

from wherry.testing.cluster import Cluster, cluster

__all__ = ["Cluster", "cluster"]
