"""The `rbac.authorization.k8s.io` group: who may do what."""
