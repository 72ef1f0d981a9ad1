"""Gangs: pods that get their nodes together, or not at all.

    a pod's turn ─► groups (are enough of them there?) ─► plan (a node for each, or for none) ─► bindings

Belongs here: which pods belong together, the plan for all of them, the room that is kept for a gang that waits, and the
condition of its PodGroup. Never belongs here: which node is best for one pod (`cycle/`), and who may be sent away for
one (`preemption/`).

Kubernetes: the GangScheduling plugin and the scheduler's pod group cycle (KEP-4671).
"""
