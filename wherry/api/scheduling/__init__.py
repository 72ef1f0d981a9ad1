"""The `scheduling.k8s.io` group: which pods matter more, and which are scheduled together."""
