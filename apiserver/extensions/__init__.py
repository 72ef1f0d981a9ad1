"""Custom kinds on this server: which there are, what their definitions' conditions say, how they end.

Belongs here: what follows from CustomResourceDefinitions in the store. Never belongs here: serving objects (they go the
way of all others), and what a definition may declare (`wherry/api/extensions`).
"""
