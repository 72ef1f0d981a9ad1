"""The `storage.k8s.io` group: kinds of storage to be had."""
