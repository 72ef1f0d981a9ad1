"""Function: one overload of a function of ours, and the opaque types that pass between them.

An opaque value is a message with one text, because the engine compares, passes and type-checks messages like its own.
Kubernetes: apiserver/pkg/cel/library.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

QUANTITY, IP, CIDR, URL = "kubernetes.Quantity", "net.IP", "net.CIDR", "kubernetes.URL"
SEMVER = "kubernetes.Semver"
_AUTHORIZATION = "kubernetes.authorization."
AUTHORIZER, DECISION = _AUTHORIZATION + "Authorizer", _AUTHORIZATION + "Decision"
PATH_CHECK, GROUP_CHECK, RESOURCE_CHECK = (_AUTHORIZATION + f"{name}Check" for name in ("Path", "Group", "Resource"))
OPAQUE = (QUANTITY, IP, CIDR, URL, SEMVER, AUTHORIZER, DECISION, PATH_CHECK, GROUP_CHECK, RESOURCE_CHECK)


class Function(NamedTuple):
    """`name(parameters) -> result`; a member is called on its first parameter. Types are written as in CEL."""

    name: str
    result: str
    parameters: tuple[str, ...]
    call: Callable[..., Any]
    is_member: bool = True


@cache
def pool() -> Any:
    """The descriptors of the opaque types."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    result = descriptor_pool.DescriptorPool()
    for number, full_name in enumerate(OPAQUE):
        package, _, name = full_name.rpartition(".")
        field = descriptor_pb2.FieldDescriptorProto
        text = field(name="text", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
        message = descriptor_pb2.DescriptorProto(name=name, field=[text])
        file = descriptor_pb2.FileDescriptorProto(
            name=f"opaque{number}.proto", package=package, syntax="proto3", message_type=[message]
        )
        result.AddSerializedFile(file.SerializeToString())
    return result


@cache
def _class_of(full_name: str) -> Any:
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(pool().FindMessageTypeByName(full_name))


def opaque(full_name: str, text: str) -> Any:
    """A value of an opaque type; equal when its text is."""
    return _class_of(full_name)(text=text)
