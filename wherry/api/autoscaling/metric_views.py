"""What an autoscaler looks at: five sources of numbers, as its spec names them and as its status shows them."""

from __future__ import annotations

from wherry.api.meta import Selector
from wherry.machinery.quantity import Quantity
from wherry.machinery.view import View


class CrossVersionObjectReference(View):
    """An object in the same namespace, of any kind."""

    kind: str = ""
    name: str = ""
    api_version: str = ""


class MetricIdentifier(View):
    """A metric by its name and, where that is not enough, by labels."""

    name: str = ""
    selector: Selector | None = None


class MetricTarget(View):
    """The value to keep to: as a whole, per pod, or in percent of what pods request."""

    type: str = ""
    value: Quantity | None = None
    average_value: Quantity | None = None
    average_utilization: int | None = None


class MetricValue(View):
    """The value now."""

    value: Quantity | None = None
    average_value: Quantity | None = None
    average_utilization: int | None = None


class ResourceSource(View):
    """What pods use of cpu or memory."""

    name: str = ""
    target: MetricTarget = MetricTarget()


class ContainerResourceSource(View):
    """The same of one container in each pod."""

    name: str = ""
    container: str = ""
    target: MetricTarget = MetricTarget()


class PodsSource(View):
    """A number that each pod has, such as requests per second."""

    metric: MetricIdentifier = MetricIdentifier()
    target: MetricTarget = MetricTarget()


class ObjectSource(View):
    """A number that one object has, such as the hits of an Ingress."""

    described_object: CrossVersionObjectReference = CrossVersionObjectReference()
    metric: MetricIdentifier = MetricIdentifier()
    target: MetricTarget = MetricTarget()


class ExternalSource(View):
    """A number from outside the cluster, such as the length of a queue."""

    metric: MetricIdentifier = MetricIdentifier()
    target: MetricTarget = MetricTarget()


class MetricSpec(View):
    """One source; `type` says which of the fields is set."""

    type: str = ""
    resource: ResourceSource | None = None
    container_resource: ContainerResourceSource | None = None
    pods: PodsSource | None = None
    object: ObjectSource | None = None
    external: ExternalSource | None = None


class ResourceReading(View):
    """See `ResourceSource`."""

    name: str = ""
    current: MetricValue = MetricValue()


class ContainerResourceReading(View):
    """See `ContainerResourceSource`."""

    name: str = ""
    container: str = ""
    current: MetricValue = MetricValue()


class PodsReading(View):
    """See `PodsSource`."""

    metric: MetricIdentifier = MetricIdentifier()
    current: MetricValue = MetricValue()


class ObjectReading(View):
    """See `ObjectSource`."""

    described_object: CrossVersionObjectReference = CrossVersionObjectReference()
    metric: MetricIdentifier = MetricIdentifier()
    current: MetricValue = MetricValue()


class ExternalReading(View):
    """See `ExternalSource`."""

    metric: MetricIdentifier = MetricIdentifier()
    current: MetricValue = MetricValue()


class MetricStatus(View):
    """What one source said last; an empty type where it said nothing."""

    type: str = ""
    resource: ResourceReading | None = None
    container_resource: ContainerResourceReading | None = None
    pods: PodsReading | None = None
    object: ObjectReading | None = None
    external: ExternalReading | None = None
