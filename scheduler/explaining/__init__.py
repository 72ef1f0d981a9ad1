"""Why a pod is where it is, why another waits, and what would become of a third.

    kept:      decision ─► record ─► annotation of the event `Scheduled`          (the scheduler, while it works)
    asked:     picture of the cluster ─► decision ─► text, hints, forecast        (`wherry why`, `wherry plan`)

Belongs here: decisions as text and as a record, what would have to change for a pod that waits, and pods that are
placed in thought only. Never belongs here: anything that places or evicts.
"""
