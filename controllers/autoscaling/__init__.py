"""Keep as many replicas as the load asks for. Kubernetes: the horizontal pod autoscaler.

Belongs here: what a number of pods should be, from what was seen of their load, and how fast to get there; all of it
pure. Never belongs here: asking for the numbers, which is `controllers/shells/autoscaling.py`'s; measuring them.
"""
