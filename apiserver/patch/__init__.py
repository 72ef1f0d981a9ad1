"""Patches: from the stored object and what a client sent to the object it wants, for each of Kubernetes' patch types.

Every function here is pure and shares what did not change between its argument and its result; neither is ever
changed in place. Belongs here: the four algorithms. Never belongs here: reading the request, validation, storage.
"""


class PatchError(ValueError):
    """The patch cannot be applied as written; the text is for the client (400 BadRequest)."""


__all__ = ["PatchError"]
