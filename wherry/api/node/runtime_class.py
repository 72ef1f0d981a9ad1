"""RuntimeClass: a way of running containers, what it costs, and where it can be had.

Applied to pods by apiserver/admission/runtime_class.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.pod.spec import Toleration
from wherry.api.core.pod.validation.scheduling import check_toleration
from wherry.api.core.resource_rules import check_requests_and_limits
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_labels, each, required_name, unchanged, under
from wherry.machinery.view import View


class Overhead(View):
    """What a pod needs besides its containers."""

    pod_fixed: dict[str, Quantity] = {}


class Scheduling(View):
    """On which nodes such pods can run."""

    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()


class RuntimeClass(Resource, group="node.k8s.io", version="v1", scope="Cluster"):
    """A way of running containers."""

    handler: str = ""
    overhead: Overhead | None = None
    scheduling: Scheduling | None = None

    unconditional_update = False
    create_on_update = True
    columns = (Column("Handler", lambda runtime: runtime.handler), AGE)

    def validate(self, old: RuntimeClass | None) -> Iterator[FieldError]:
        """Every broken rule; the handler is for life."""
        if old is not None:
            yield from unchanged("handler", self.handler, old.handler)
            return
        yield from required_name("handler", self.handler, names.dns1123_label)
        if self.overhead is not None:
            yield from under("overhead", check_requests_and_limits({}, self.overhead.pod_fixed))
        if self.scheduling is not None:
            yield from check_labels("scheduling.nodeSelector", self.scheduling.node_selector)
            yield from each("scheduling.tolerations", self.scheduling.tolerations, check_toleration)
