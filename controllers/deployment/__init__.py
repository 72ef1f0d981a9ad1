"""The Deployment controller: one ReplicaSet per version of the template, rolled from old to new.

`plan.py` decides what happens, `rollout.py` and `resizing.py` how large each ReplicaSet should be, `revisions.py` which
ReplicaSet stands for which version, `status.py` what is told, and `steps.py` makes actions of it. Never belongs here:
pods, which are the ReplicaSets' own affair.
"""
