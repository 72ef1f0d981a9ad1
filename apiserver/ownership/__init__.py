"""Who owns which field of an object: `metadata.managedFields`.

Every write that changes something takes ownership of it, in the name its client gave (`fieldManager`, or else the first
word of its User-Agent). Server-side apply (`apiserver.patch.apply`) asks the owners before it changes their fields.

Belongs here: the entries of managedFields, and what a write does to them. Never belongs here: reading a request,
storage, what an apply does to the object itself.
"""
