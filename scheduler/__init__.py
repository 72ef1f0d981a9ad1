"""The scheduler: chooses a node for every pod that has none. Kubernetes: kube-scheduler.

    pods, nodes ─ informers ─► snapshot (columns over nodes) ─┐
    pods without a node ─────► queue ─► plan (filter, score) ─┴─► Binding, or a condition that says why not

Belongs here: the columns that describe the nodes (`columns/`, `snapshot.py`), the plugins that filter and score them
(`plugins/`, one per file), the plan of one pod (`cycle/`, pure functions), its explanation (`explaining/`), who makes
way for whom (`preemption/`), the queue, and the shell that observes and binds (`runner.py`). Never belongs here:
running pods, or replacing them.
"""
