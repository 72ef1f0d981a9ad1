"""The `networking.k8s.io` group: how traffic comes in, who may talk to whom, and the addresses of services."""
