"""The `coordination.k8s.io` group: who is alive and who leads."""
