"""Garbage collection: what belongs to somebody who is gone, goes too.

`graph.py` remembers who belongs to whom and says whom to look at; `plan.py` decides what happens to one object.
`shells/collecting.py` watches all kinds and asks the server about owners. Never belongs here: what any kind means.
"""
