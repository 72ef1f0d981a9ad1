"""Access reviews: may this subject, or the one who asks, do that? Answered by apiserver/access/rbac.py."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.machinery.field_errors import FieldError, invalid
from wherry.machinery.resource import Resource
from wherry.machinery.validation import under
from wherry.machinery.view import Verbatim, View

GROUP = "authorization.k8s.io"
_EXACTLY_ONE = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


class ResourceAttributes(View):
    """A request for resources. An empty name means all, an empty namespace all or none."""

    namespace: str = ""
    verb: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    field_selector: Verbatim | None = None
    label_selector: Verbatim | None = None


class NonResourceAttributes(View):
    """A request for any other path."""

    path: str = ""
    verb: str = ""


class SelfSubjectAccessReviewSpec(View):
    """What is to be done; one of the two is set."""

    resource_attributes: ResourceAttributes | None = None
    non_resource_attributes: NonResourceAttributes | None = None


class SubjectAccessReviewSpec(SelfSubjectAccessReviewSpec):
    """The same, and who wants to do it."""

    user: str = ""
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, tuple[str, ...]] = {}


class SubjectAccessReviewStatus(View):
    """The answer, and why."""

    allowed: bool = False
    denied: bool = False
    reason: str = ""
    evaluation_error: str = ""


class SelfSubjectAccessReview(Resource, group=GROUP, version="v1", scope="Cluster", verbs=("create",)):
    """May I do that?"""

    spec: SelfSubjectAccessReviewSpec = SelfSubjectAccessReviewSpec()
    status: SubjectAccessReviewStatus = SubjectAccessReviewStatus()

    def validate(self, old: SelfSubjectAccessReview | None) -> Iterator[FieldError]:
        """Every broken rule of the question."""
        return under("spec", _check_attributes(self.spec))


class SubjectAccessReview(Resource, group=GROUP, version="v1", scope="Cluster", verbs=("create",)):
    """May somebody do that?"""

    spec: SubjectAccessReviewSpec = SubjectAccessReviewSpec()
    status: SubjectAccessReviewStatus = SubjectAccessReviewStatus()

    def validate(self, old: SubjectAccessReview | None) -> Iterator[FieldError]:
        """Every broken rule of the question."""
        return under("spec", _check_question(self.spec))


class LocalSubjectAccessReview(Resource, group=GROUP, version="v1", verbs=("create",)):
    """May somebody do that in this namespace?"""

    spec: SubjectAccessReviewSpec = SubjectAccessReviewSpec()
    status: SubjectAccessReviewStatus = SubjectAccessReviewStatus()

    def validate(self, old: LocalSubjectAccessReview | None) -> Iterator[FieldError]:
        """Every broken rule of the question."""
        yield from under("spec", _check_question(self.spec))
        resource, path = self.spec.resource_attributes, self.spec.non_resource_attributes
        if resource is not None and resource.namespace != self.metadata.namespace:
            yield invalid("spec.resourceAttributes.namespace", resource.namespace, "must match metadata.namespace")
        if path is not None:
            yield invalid("spec.nonResourceAttributes", path.to_wire(), "disallowed on this kind of request")


def _check_question(spec: SubjectAccessReviewSpec) -> Iterator[FieldError]:
    yield from _check_attributes(spec)
    if not spec.user and not spec.groups:
        yield invalid("user", spec.user, "at least one of user or group must be specified")


def _check_attributes(spec: SelfSubjectAccessReviewSpec) -> Iterator[FieldError]:
    if spec.resource_attributes is not None and spec.non_resource_attributes is not None:
        why = "cannot be specified in combination with resourceAttributes"
        yield invalid("nonResourceAttributes", spec.non_resource_attributes.to_wire(), why)
    if spec.resource_attributes is None and spec.non_resource_attributes is None:
        yield invalid("resourceAttributes", None, _EXACTLY_ONE)


class ResourceRule(View):
    """Verbs somebody may use on resources."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()


class NonResourceRule(View):
    """Verbs somebody may use on paths."""

    verbs: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()


class SelfSubjectRulesReviewSpec(View):
    """Where."""

    namespace: str = ""


class SubjectRulesReviewStatus(View):
    """Everything the one who asks may do there."""

    resource_rules: tuple[ResourceRule, ...] = ()
    non_resource_rules: tuple[NonResourceRule, ...] = ()
    incomplete: bool = False
    evaluation_error: str = ""


class SelfSubjectRulesReview(Resource, group=GROUP, version="v1", scope="Cluster", verbs=("create",)):
    """What may I do?"""

    spec: SelfSubjectRulesReviewSpec = SelfSubjectRulesReviewSpec()
    status: SubjectRulesReviewStatus = SubjectRulesReviewStatus()
