"""What a backend promises. The specification is `tests/contract/test_proxy_backends.py`."""

from __future__ import annotations

from typing import Protocol

from kubeproxy.rules import Rules


class BackendError(Exception):
    """Why rules could not be put in force, with what the system said."""


class Backend(Protocol):
    """Makes the frontends of `Rules` answer on this machine.

    A new connection to a frontend goes to one of its targets; clients of a route with affinity come back to the same
    one. A frontend without targets refuses at once (or, where a Local policy left none on this node, stays silent).
    Established connections outlive every change of the rules, as long as their target lives.
    """

    async def apply(self, rules: Rules) -> None:
        """Make `rules` hold, from one moment to the next; only the difference is touched. Raises BackendError."""

    async def repair(self) -> bool:
        """Put back what others removed; says whether anything was missing. Raises BackendError."""

    async def clear(self) -> None:
        """Leave nothing of ours on the machine, also what an earlier process with our name left."""

    async def close(self) -> None:
        """Let go of what this process holds. Rules that live in the kernel stay, and go on answering."""
