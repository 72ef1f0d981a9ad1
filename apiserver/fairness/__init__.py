"""Priority and fairness: no client can take the server from the others. Kubernetes: API Priority and Fairness.

`classification.py` says to which flow schema and priority level a request belongs, `levels.py` who of a level runs and
who waits, `sharing.py` how levels share the server, `turnstile.py` how much is done in a turn of the loop; the step is
`apiserver/steps/prioritization.py`. Long bodies wait for room (`bodies.py`), and the work on huge objects is done
beside the loop (`aside.py`).

Belongs here: who waits for whom. Never belongs here: who may do what.
"""
