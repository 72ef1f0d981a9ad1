"""Preemption: which pods of lower priority make way for a pod that fits nowhere, and how that is done.

    refused ─► plan (which node, which victims, or why none) ─► nominations (the room is kept) ─► evictor (victims go)

Belongs here: the choice (`plan.py`, `victims.py`, `budgets.py`: pure), the room that is kept for a pod until its
victims are gone, and the writes. Never belongs here: which node is best for a pod that fits.

Kubernetes: the DefaultPreemption plugin, and the scheduler's nominator.
"""
