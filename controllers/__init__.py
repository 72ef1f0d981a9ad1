"""The controller manager: makes the cluster what its objects say, one pure plan per concern.

Belongs here: a file (or a package, where there is more to say) per controller, each a `plan` that reads a `World` and
yields actions; `shells/` for what must ask the server or a clock itself (docs/adr/controllers-with-a-shell.md);
`assembly.py`, which puts them together. Never belongs here: HTTP, watching, retries, batching, which are
`wherry.client`'s; what runs on a node.
"""
