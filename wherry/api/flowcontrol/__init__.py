"""The `flowcontrol.apiserver.k8s.io` group: whose requests wait for whose."""
