"""Aggregated APIs: groups and versions that another server of the cluster answers, under this server's roof.

`remotes.py` knows who answers for what and keeps asking whether they do, `checking.py` says why they do not,
`passing_on.py` passes requests on in the name of who asks, `describing.py` adds them to discovery and OpenAPI.

Belongs here: what APIServices with a service mean. Never belongs here: forwarding itself (`apiserver/proxying`).
"""
