"""The API server: keeps objects, answers about them, and tells everyone what changes.

A request travels through the tuple in `pipeline.py`. `reading/` answers from the watch cache at a revision known to be
current; `writing/` takes a draft through decode, default, admit, validate, store; `access/` knows who may do what.

Belongs here: everything that holds a store. Never belongs here: a rule of one kind (`wherry.api` has those), or work
that a controller could do with a watch.
"""
