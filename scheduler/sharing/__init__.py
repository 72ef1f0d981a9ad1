"""Sharing: who has how much of the cluster, whose turn it is, and what each may have.

Belongs here: who holds which cards, what they have used, and the order and the limits that follow from it.
Never belongs here: which node a pod gets (`scheduler/plugins/`), or the granting of cards (`scheduler/devices/`).
"""
