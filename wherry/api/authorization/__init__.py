"""The `authorization.k8s.io` group: who may do what. Answered by apiserver/access/reviews.py, never stored."""
