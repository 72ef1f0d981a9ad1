"""Values, codec, errors: what every component agrees on.

Belongs here: pure functions and immutable values that follow from Kubernetes' wire format. Never belongs here: I/O,
asyncio, a clock, or anything that knows one kind from another (that is `wherry.api`).
"""
