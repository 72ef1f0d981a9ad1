"""The `authentication.k8s.io` group: who somebody is. Answered by apiserver/access/reviews.py, never stored."""
