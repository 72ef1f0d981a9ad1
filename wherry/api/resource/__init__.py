"""The `resource.k8s.io` group: devices that nodes offer, and claims on them."""
