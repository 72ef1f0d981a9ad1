"""Devices and the pods that want them: which there are, who holds each, and what is written before a binding.

Belongs here: the copies of slices, claims and classes, the choice of devices on a node, and the writes that grant them.
Never belongs here: which node is better (`scheduler/plugins/`), or making claims from templates (the controllers).
"""
