"""The `discovery.k8s.io` group: where services are answered."""
