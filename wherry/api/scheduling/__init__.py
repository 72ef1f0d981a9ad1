"""The `scheduling.k8s.io` group: which pods matter more."""
