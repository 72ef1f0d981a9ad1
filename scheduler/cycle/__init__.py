"""One cycle of the scheduler: a pod and the columns in, a decision out.

    pod ─► answers (kept per kind of pod) ─► panel (all plugins, together) ─► the best node, or why there is none

Belongs here: the plan of one pod (`plan.py`), the answers that are kept for pods that look alike, and the decision as a
value. Never belongs here: what a single plugin thinks, who waits for how long, or any input and output.
"""
