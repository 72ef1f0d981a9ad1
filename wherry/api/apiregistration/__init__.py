"""The `apiregistration.k8s.io` group: which server answers for which group and version."""
