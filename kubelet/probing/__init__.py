"""How a container is asked how it does, where that needs a protocol of its own.

Belongs here: questions over the network. Never belongs here: when to ask, and what follows from the answer.
"""
