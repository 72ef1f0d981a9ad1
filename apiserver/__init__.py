"""The API server: keeps objects, answers about them, and tells everyone what changes.

A request travels through the tuple in `pipeline.py`; a write on its way to the store is decoded, defaulted, admitted,
validated and stored (`writes.py`). Reads come from the watch cache at a revision known to be current. Only this package
holds a store.
"""
