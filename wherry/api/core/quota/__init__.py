"""ResourceQuota: how much a namespace may hold. The kind, which objects a quota concerns, what each of them counts for.

Here: pure functions on objects, shared by admission, which charges, and the controller, which counts again. Never: who
charges when.
"""
