"""The `autoscaling` group: how many replicas, in one shape for all that have them."""
