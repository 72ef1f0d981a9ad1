"""Cluster DNS: `web.shop.svc.cluster.local` and its relatives, answered from Services and EndpointSlices.

    zone.py      pure: a name and a type in, records out
    responder.py packets: parsing, answering, the cache of whole answers
    upstream.py  names that are not ours, asked of the machine's own resolvers
    server.py    UDP and TCP sockets

Kubernetes: the DNS specification 1.1.0 (kubernetes/dns, docs/specification.md), as CoreDNS implements it.
"""
