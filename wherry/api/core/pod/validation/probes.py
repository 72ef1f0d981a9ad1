"""Probes and lifecycle hooks: one action each, sensible numbers."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.pod.container import Action, Container, ExecAction, HttpGetAction, Lifecycle, Probe, SleepAction
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.validation import check_port, non_negative, under

_COUNTS = (
    ("initialDelaySeconds", "initial_delay_seconds"),
    ("timeoutSeconds", "timeout_seconds"),
    ("periodSeconds", "period_seconds"),
    ("successThreshold", "success_threshold"),
    ("failureThreshold", "failure_threshold"),
)


def check_probes_and_hooks(container: Container, grace_seconds: int) -> Iterator[FieldError]:
    """What a container or sidecar may say about its health and its end."""
    if container.lifecycle:
        yield from under("lifecycle", _check_lifecycle(container.lifecycle, grace_seconds))
    if container.liveness_probe:
        yield from under("livenessProbe", _check_deciding_probe(container.liveness_probe, grace_seconds))
    if container.readiness_probe:
        yield from under("readinessProbe", _check_readiness(container.readiness_probe, grace_seconds))
    if container.startup_probe:
        yield from under("startupProbe", _check_deciding_probe(container.startup_probe, grace_seconds))


def _check_deciding_probe(probe: Probe, grace_seconds: int) -> Iterator[FieldError]:
    """Liveness and startup: one success is enough."""
    yield from _check_probe(probe, grace_seconds)
    if probe.success_threshold != 1:
        yield invalid("successThreshold", probe.success_threshold, "must be 1")


def _check_readiness(probe: Probe, grace_seconds: int) -> Iterator[FieldError]:
    yield from _check_probe(probe, grace_seconds)
    seconds = probe.termination_grace_period_seconds
    if seconds is not None:
        yield invalid("terminationGracePeriodSeconds", seconds, "must not be set for readinessProbes")


def _check_probe(probe: Probe, grace_seconds: int) -> Iterator[FieldError]:
    yield from _check_action(probe, grace_seconds)
    for field, attribute in _COUNTS:
        yield from non_negative(field, getattr(probe, attribute))
    seconds = probe.termination_grace_period_seconds
    if seconds is not None and seconds <= 0:
        yield invalid("terminationGracePeriodSeconds", seconds, "must be greater than 0")


def _check_lifecycle(lifecycle: Lifecycle, grace_seconds: int) -> Iterator[FieldError]:
    if lifecycle.post_start:
        yield from under("postStart", _check_action(lifecycle.post_start, grace_seconds))
    if lifecycle.pre_stop:
        yield from under("preStop", _check_action(lifecycle.pre_stop, grace_seconds))


def _check_action(action: Action, grace_seconds: int) -> Iterator[FieldError]:
    given: list[tuple[str, Iterator[FieldError]]] = []
    if action.exec:
        given.append(("exec", _check_exec(action.exec)))
    if action.http_get:
        given.append(("httpGet", _check_http_get(action.http_get)))
    if action.tcp_socket:
        given.append(("tcpSocket", check_port("port", action.tcp_socket.port)))
    if action.grpc:
        given.append(("grpc", check_port("port", action.grpc.port)))
    if action.sleep:
        given.append(("sleep", _check_sleep(action.sleep, grace_seconds)))

    if not given:
        yield required("", "must specify a handler type")
    for index, (field, errors) in enumerate(given):
        if index == 0:
            yield from under(field, errors)
        else:
            yield forbidden(field, "may not specify more than 1 handler type")


def _check_exec(action: ExecAction) -> Iterator[FieldError]:
    if not action.command:
        yield required("command")


def _check_http_get(action: HttpGetAction) -> Iterator[FieldError]:
    if not action.path:
        yield required("path")
    yield from check_port("port", action.port)
    if action.scheme not in ("HTTP", "HTTPS"):
        yield not_supported("scheme", action.scheme, ("HTTP", "HTTPS"))
    for header in action.http_headers:
        for problem in names.http_header(header.name):
            yield invalid("httpHeaders", header.name, problem)


def _check_sleep(action: SleepAction, grace_seconds: int) -> Iterator[FieldError]:
    if not 0 <= action.seconds <= grace_seconds:
        limit = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_seconds})"
        yield invalid("", action.seconds, limit)
