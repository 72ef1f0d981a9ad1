"""Certificates: asking the cluster's authority for one. Group certificates.k8s.io."""
