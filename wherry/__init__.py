"""Wherry: a small, real Kubernetes that people can read.

This package holds what the five components (`apiserver`, `scheduler`, `controllers`, `kubelet`, `kubeproxy`) share,
lowest layer first: `machinery` (values, codec, errors; no I/O), `volumes`, `api` (one file per kind), `client` (HTTP,
informers, the runner of plans), and on top `sim`, `cluster`, `testing` and the `wherry` command in `cli`. Components
meet over HTTP only.
"""

__version__ = "0.1.0"
