"""Admission: rules about writes that one object alone cannot know. A plugin per file; the class statement registers it.

A plugin may define `mutate(draft, old, write)` and `validate(draft, old, write)`, and names the kinds it cares about.
Plugins run in the order of their `order`; every `mutate` before validation of the object, every `validate` after it.

Kubernetes: admission plugins.
"""

from apiserver.admission.base import Admission, AdmissionPlugin

__all__ = ["Admission", "AdmissionPlugin"]
