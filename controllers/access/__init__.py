"""Controllers of who may do what: cluster roles made of others, certificate signing requests, bootstrap tokens.

Here: pure plans, and pure functions on certificates. Never: who holds the authority's key (`shells/`).
"""
