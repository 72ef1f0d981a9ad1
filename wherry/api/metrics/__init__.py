"""Kinds of `metrics.k8s.io`: what nodes and pods use now. Nothing of it is stored; see apiserver/metrics/."""
