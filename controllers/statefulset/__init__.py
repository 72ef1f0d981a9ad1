"""The StatefulSet controller: pods with names, storage and an order of their own.

`plan.py` decides what happens, `crew.py` who is who, `identity.py` makes pods, `claims.py` their storage, `steps.py`
grows, mends and shrinks, `rollout.py` brings pods to the current version, `status.py` tells. What is remembered of
older versions is in `controllers/parts/history.py`. Never belongs here: anything that would run two pods of one name.
"""
