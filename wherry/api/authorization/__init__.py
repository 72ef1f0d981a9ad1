"""The `authorization.k8s.io` group: who may do what. Answered by apiserver/reviews.py, never stored."""
