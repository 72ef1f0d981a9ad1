"""Requests that are somebody else's to answer: pods, services, nodes, aggregated API servers.

`places.py` says where a pod, service or node answers, `headers.py` what may be told on the way, `forwarding.py` passes
requests and answers on as they come, `upgrades.py` whole connections, `html_links.py` keeps a page's links on the way.

Belongs here: HTTP between the API server and a backend. Never belongs here: who may ask (authorization decides first).
"""
