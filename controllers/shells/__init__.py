"""What a few controllers need beside a pure plan: a question put to the server itself, a clock, a sweep.

Belongs here: watching, asking and acting for plans that `wherry.client.runner` cannot serve, because they are about all
kinds at once or must not trust a copy (docs/adr/controllers-with-a-shell.md). Never belongs here: what is decided; that
is in the pure modules beside.
"""
