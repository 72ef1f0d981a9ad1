"""Webhooks: where they are and when they are asked; what mutating and validating ones share.

Kubernetes: admissionregistration webhooks and `apiserver/pkg/util/webhook` validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from wherry.api.admission.expressions import MOST_EXPRESSIONS
from wherry.api.admission.matching import (
    DEFINITIONS,
    FAILURE_POLICIES,
    MATCH_POLICIES,
    MatchCondition,
    RuleWithOperations,
    check_conditions,
    check_rule,
    distinct,
    supported,
)
from wherry.api.meta import Selector
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.schema import defaults
from wherry.machinery.validation import check_name, check_selector, each, repeats, under
from wherry.machinery.view import View

HTTPS_PORT = 443
SIDE_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown")
NO_SIDE_EFFECTS = ("None", "NoneOnDryRun")
REVIEW_VERSIONS = ("v1", "v1beta1")
_FORM = "; desired format: https://host[/path]"
_KNOWN_VERSIONS = ", ".join(REVIEW_VERSIONS)

defaults.literal(DEFINITIONS + "ServiceReference", port=HTTPS_PORT)
for _hook in ("ValidatingWebhook", "MutatingWebhook"):
    defaults.literal(
        DEFINITIONS + _hook,
        failurePolicy="Fail",
        matchPolicy="Equivalent",
        namespaceSelector={},
        objectSelector={},
        timeoutSeconds=10,
    )


class ServiceReference(View):
    """A service of the cluster, and the path and port to ask it at."""

    namespace: str = ""
    name: str = ""
    path: str | None = None
    port: int = HTTPS_PORT


class WebhookClientConfig(View):
    """Where a webhook is: a URL or a service. `ca_bundle`, base64 of PEM, says whom to believe there."""

    url: str | None = None
    service: ServiceReference | None = None
    ca_bundle: str = ""


class Webhook(View):
    """Somebody to be asked about certain requests. Kubernetes: ValidatingWebhook."""

    name: str = ""
    client_config: WebhookClientConfig = WebhookClientConfig()
    rules: tuple[RuleWithOperations, ...] = ()
    failure_policy: str | None = None
    match_policy: str | None = None
    namespace_selector: Selector | None = None
    object_selector: Selector | None = None
    side_effects: str | None = None
    timeout_seconds: int | None = None
    admission_review_versions: tuple[str, ...] = ()
    match_conditions: tuple[MatchCondition, ...] = ()


class _Strictness(NamedTuple):
    """What is asked of webhooks: of stored ones that never kept a rule it is not asked afterwards."""

    side_effects: tuple[str, ...]
    known_version: bool
    unique_names: bool


def check_webhooks(hooks: Sequence[Webhook], old: Sequence[Webhook] | None) -> Iterator[FieldError]:
    """Every broken rule of a configuration's webhooks."""
    conditions = sum(len(hook.match_conditions) for hook in hooks)
    known = [hook.match_conditions for hook in old or ()]
    if conditions > MOST_EXPRESSIONS and [hook.match_conditions for hook in hooks] != known:
        why = f"must have at most {MOST_EXPRESSIONS} matchConditions in all, but has {conditions}"
        yield forbidden("webhooks", why)
        return
    strict = _strictness(() if old is None else old)
    for index, hook in enumerate(hooks):
        yield from under(f"webhooks[{index}]", _check_webhook(hook, strict))
    if strict.unique_names:
        yield from distinct("webhooks", "name", (hook.name for hook in hooks))


def _strictness(old: Sequence[Webhook]) -> _Strictness:
    harmless = all(hook.side_effects in NO_SIDE_EFFECTS for hook in old)
    known = all(
        not hook.admission_review_versions or not set(REVIEW_VERSIONS).isdisjoint(hook.admission_review_versions)
        for hook in old
    )
    unique = len({hook.name for hook in old}) == len(old)
    return _Strictness(NO_SIDE_EFFECTS if harmless else SIDE_EFFECTS, known, unique)


def _check_webhook(hook: Webhook, strict: _Strictness) -> Iterator[FieldError]:
    yield from check_full_name("name", hook.name)
    yield from each("rules", hook.rules, check_rule)
    yield from supported("failurePolicy", hook.failure_policy, FAILURE_POLICIES)
    yield from supported("matchPolicy", hook.match_policy, MATCH_POLICIES)
    if hook.side_effects is None:
        yield required("sideEffects", f"must specify one of {', '.join(strict.side_effects)}")
    elif hook.side_effects not in strict.side_effects:
        yield not_supported("sideEffects", hook.side_effects, strict.side_effects)
    if hook.timeout_seconds is not None and not 1 <= hook.timeout_seconds <= 30:
        yield invalid("timeoutSeconds", hook.timeout_seconds, "the timeout value must be between 1 and 30 seconds")
    for field, selector in (("namespaceSelector", hook.namespace_selector), ("objectSelector", hook.object_selector)):
        if selector is not None:
            yield from check_selector(field, selector.raw)
    yield from under("clientConfig", _check_client(hook.client_config))
    yield from under("matchConditions", check_conditions(hook.match_conditions))
    yield from under("admissionReviewVersions", _check_versions(hook.admission_review_versions, strict.known_version))


def check_full_name(field: str, name: str) -> Iterator[FieldError]:
    """A domain with at least three segments. Kubernetes: IsFullyQualifiedName."""
    problems = names.dns1123_subdomain(name)
    if not name:
        yield required(field)
    elif problems:
        yield invalid(field, name, ",".join(problems))
    elif name.count(".") < 2:
        yield invalid(field, name, "should be a domain with at least three segments separated by dots")


def _check_client(client: WebhookClientConfig) -> Iterator[FieldError]:
    if client.url is not None and client.service is None:
        yield from check_url("url", client.url)
    elif client.service is not None and client.url is None:
        yield from under("service", check_service(client.service))
    else:
        yield required("", "exactly one of url or service is required")


def check_url(field: str, url: str) -> Iterator[FieldError]:
    """An `https` URL without a user, a query or a fragment."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield required(field, f"url must be a valid URL: {error}{_FORM}")
        return
    if parts.scheme != "https":
        yield invalid(field, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    if not parts.netloc.rpartition("@")[2]:
        yield invalid(field, parts.netloc, f"host must be specified{_FORM}")
    if "@" in parts.netloc:
        yield invalid(field, parts.netloc.rpartition("@")[0], "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(field, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(field, parts.query, "query parameters are not permitted in the URL")


def check_service(service: ServiceReference) -> Iterator[FieldError]:
    """A service with a name, a namespace, a port, and a path of DNS names."""
    if not service.name:
        yield required("name")
    if not service.namespace:
        yield required("namespace")
    problems = names.port_number(service.port)
    if problems:
        yield invalid("port", service.port, f"port is not valid: {','.join(problems)}")
    if service.path and service.path != "/":
        yield from _check_path(service.path)


def _check_path(path: str) -> Iterator[FieldError]:
    if path == "//":
        yield invalid("path", path, "segment[0] may not be empty")
        return
    if not path.startswith("/"):
        yield invalid("path", path, "must start with a '/'")
    for index, segment in enumerate(path[1:].removesuffix("/").split("/")):
        if not segment:
            yield invalid("path", path, f"segment[{index}] may not be empty")
        else:
            problems = names.dns1123_subdomain(segment)
            yield from (invalid("path", path, f"segment[{index}]: {problem}") for problem in problems)


def _check_versions(versions: tuple[str, ...], known_version: bool) -> Iterator[FieldError]:
    if not versions:
        yield required("", f"must specify one of {_KNOWN_VERSIONS}")
        return
    for index, is_repeated in enumerate(repeats(versions)):
        if is_repeated:
            yield invalid(f"[{index}]", versions[index], "duplicate version")
        else:
            yield from check_name(f"[{index}]", versions[index], names.dns1035_label)
    if known_version and set(REVIEW_VERSIONS).isdisjoint(versions):
        yield invalid("", versions, f"must include at least one of {_KNOWN_VERSIONS}")
