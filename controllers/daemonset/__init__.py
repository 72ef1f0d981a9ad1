"""The DaemonSet controller: one pod on every node that matches.

`plan.py` decides what happens, `fit.py` which nodes match, `pods.py` makes pods, `roster.py` says who is where,
`keeping.py` makes and deletes until each node has its pod, `rollout.py` brings them to the current version, `status.py`
tells. Never belongs here: placing pods, which is the scheduler's; a pod only names its node.
"""
