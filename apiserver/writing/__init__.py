"""Writing: the path of every write, decode → default → admit → validate → store (`rest.py`).

Belongs here: what the server does to a draft. Never belongs here: a rule of one kind (its file under `wherry.api` has
those), or a rule about several objects (that is `apiserver.admission`).
"""
