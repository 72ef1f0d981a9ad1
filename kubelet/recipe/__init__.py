"""From a pod to what a runtime is given: environment, mounts, privileges, network files.

Belongs here: pure functions from views to `runtime.base` values and texts. Never belongs here: I/O; what has to be
looked up comes in as values.
"""
