"""A whole cluster in one process, in virtual time.

Belongs here: the event loop that owns time, the in-memory network and its faults, nodes without machines,
transcripts. Never belongs here: behaviour of a component. The components run as they are; only clock, network and
container runtime are replaced.
"""
