"""Volumes and the pods that wait for them: what claims ask of a node, and what is written once it is chosen.

Belongs here: the copies of claims, volumes and classes, and the writes that must come before a binding. Never belongs
here: which node is better (`scheduler/plugins/`), or making volumes (the controllers).
"""
