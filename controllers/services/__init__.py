"""Which addresses stand behind a Service.

Belongs here: controllers that keep Endpoints, EndpointSlices and a Service's status. Never belongs here: leading
traffic there, which is kube-proxy's.
"""
