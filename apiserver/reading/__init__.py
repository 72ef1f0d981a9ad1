"""Reading: the watch cache, GET, LIST and WATCH, and the forms in which objects leave.

Belongs here: everything between an object at rest (`stored.py`) and the bytes a client gets. Never belongs here: a
change of an object.
"""
