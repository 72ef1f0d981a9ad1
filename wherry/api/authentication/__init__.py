"""The `authentication.k8s.io` group: who somebody is. Answered by apiserver/reviews.py, never stored."""
