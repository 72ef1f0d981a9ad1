"""Selectors: whether a device fits, as CEL expressions say it. Kubernetes: dynamic-resource-allocation/cel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.devices.inventory import Device
from wherry.api.resource.device_claim import DeviceSelector, DeviceToleration
from wherry.api.resource.resource_slice import DeviceTaint
from wherry.machinery.cel import Environment, Failure
from wherry.machinery.cel.library.base import QUANTITY, SEMVER, opaque
from wherry.machinery.quantity import Quantity

_ENVIRONMENT = Environment(device="dyn")
_DOMAIN = re.compile(r"""\[\s*["']([^"']+)["']\s*\]|["']([^"']+)["']\s+in\b""")


class SelectorProblem(Exception):
    """An expression that cannot be asked, or has no answer for a device; the message is for the pod's owner."""


def fits(device: Device, selectors: Iterable[DeviceSelector], whose: str) -> bool:
    """Whether all of them hold for the device; raises SelectorProblem."""
    for index, selector in enumerate(selectors):
        expression = selector.cel.expression if selector.cel else ""
        if expression not in device.said:
            device.said[expression] = _ask(device, expression)
        said = device.said[expression]
        if isinstance(said, Failure):
            kind = "compile" if said.message.startswith("compilation failed") else "runtime"
            raise SelectorProblem(f"{whose}: selector #{index}: CEL {kind} error: {said.message}")
        if not said:
            return False
    return True


def tolerates(tolerations: Iterable[DeviceToleration], taints: Iterable[DeviceTaint]) -> bool:
    """Whether somebody with these tolerations may have a device with these taints."""
    tolerations = tuple(tolerations)
    return all(any(each.covers(taint.key, taint.value, taint.effect) for each in tolerations) for taint in taints)


def _ask(device: Device, expression: str) -> Any:
    program = _ENVIRONMENT.compile(expression)
    if isinstance(program, Failure):
        return program
    answer = program.evaluate(device=_value(device, expression))
    if isinstance(answer, Failure | bool):
        return answer
    return Failure("compilation failed: must evaluate to bool")


def _value(device: Device, expression: str) -> dict[str, Any]:
    """The device as expressions see it: by domain, and a domain that it says nothing of is empty."""
    named = {first or second for first, second in _DOMAIN.findall(expression)}
    attributes: dict[str, dict[str, Any]] = {domain: {} for domain in named | {device.id.driver}}
    capacity: dict[str, dict[str, Any]] = {domain: {} for domain in named | {device.id.driver}}
    for qualified, value in device.attributes.items():
        domain, name = _split(qualified, device.id.driver)
        attributes.setdefault(domain, {})[name] = _attribute(value)
    for qualified, text in device.capacity.items():
        domain, name = _split(qualified, device.id.driver)
        capacity.setdefault(domain, {})[name] = opaque(QUANTITY, str(Quantity.parse(text).nanos))
    return {"driver": device.id.driver, "attributes": attributes, "capacity": capacity}


def _split(qualified: str, driver: str) -> tuple[str, str]:
    domain, slash, name = qualified.partition("/")
    return (domain, name) if slash else (driver, domain)


def _attribute(value: Mapping[str, Any]) -> Any:
    if "version" in value:
        return opaque(SEMVER, str(value["version"]))
    return next(iter(value.values()), None)
