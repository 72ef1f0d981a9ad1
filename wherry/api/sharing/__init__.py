"""Kinds of `scheduling.wherry.dev`: how people share a cluster, which Kubernetes leaves to others."""
