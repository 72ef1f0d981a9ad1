"""Consolidation: pods that would fit if the free room were in one place get it, and others move elsewhere for that.

    refused ─► plan (who moves where, all of it in thought) ─► mover (the room is kept, then they are evicted)

Belongs here: that plan, whom one may move at all, and the evictions. Never belongs here: pods that go for good, for
which see `preemption/`.

Off unless a profile says how many pods may move at a time (`mostMoves` of the plugin `Consolidation`).
"""
