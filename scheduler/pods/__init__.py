"""Pods as the scheduler sees them.

Belongs here: what a pod asks of a node, worked out once. Never belongs here: anything about nodes.
"""

from scheduler.pods.terms import Group
from scheduler.pods.view import HostPort, PodView

__all__ = ["Group", "HostPort", "PodView"]
