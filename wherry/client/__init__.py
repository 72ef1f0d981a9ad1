"""How components talk to the API server and act on what they see.

Belongs here: the HTTP client, informers, the work queue, the `World` a plan reads, the actions a plan yields, the
runner that observes, calls plans and acts, leader election, events, and calls by gRPC. Never belongs here: what one
controller, the scheduler or the kubelet decides.
"""
