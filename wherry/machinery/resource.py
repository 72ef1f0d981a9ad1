"""Resource: a kind of object, declared in one class, and the registry of all of them.

    class ReplicaSet(Resource, group="apps", version="v1", short=("rs",), subresources=("status", "scale")):
        spec: ReplicaSetSpec
        status: ReplicaSetStatus = ReplicaSetStatus()
        columns = (Column("Desired", lambda rs: rs.spec.replicas, type="integer"), ...)

The class statement registers itself. Routes, discovery, OpenAPI and `kubectl get` derive from it; which fields the
objects may have comes from the schema (`wherry.machinery.schema`), not from the view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Self

from wherry.machinery.field_errors import FieldError
from wherry.machinery.meta import ObjectMeta
from wherry.machinery.schema.definitions import Schema, schema_for
from wherry.machinery.view import View, ViewMeta

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Column(NamedTuple):
    """One column of `kubectl get`. `cell` reads it from an object; priority 1 shows with `-o wide` only."""

    name: str
    cell: Callable[[Any], Any]
    type: str = "string"
    priority: int = 0
    format: str = ""
    description: str = ""


class Kind(NamedTuple):
    """Who a kind is on the wire."""

    group: str
    version: str
    name: str
    plural: str
    namespaced: bool
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    subresources: tuple[str, ...]
    verbs: tuple[str, ...]
    # What a custom kind says about itself; built-in kinds follow a rule.
    singular: str = ""
    list_name: str = ""
    is_custom: bool = False

    @property
    def singular_name(self) -> str:
        """`deployment`, as kubectl accepts it."""
        return self.singular or self.name.lower()

    @property
    def list_kind(self) -> str:
        """`DeploymentList`."""
        return self.list_name or f"{self.name}List"

    @property
    def api_version(self) -> str:
        """`v1` or `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`pods` or `deployments.apps`, as error messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified(self) -> str:
        """`Pod` or `Deployment.apps`, as validation errors name it."""
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def root(self) -> str:
        """The path below which the kind is served: `/api/v1` or `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection, an object or its subresource."""
        parts = [self.root]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        return "/".join(part for part in (*parts, self.plural, name, subresource) if part)


class _ResourceMeta(ViewMeta):
    """Takes the wire identity from the class statement and registers the class."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **identity: Any) -> Any:
        struct_options = {key: identity.pop(key) for key in ("frozen", "kw_only") if key in identity}
        cls = super().__new__(mcs, name, bases, namespace, **struct_options)
        if "version" in identity:
            register(cls, _kind_of(identity.pop("name", name), **identity))  # type: ignore[arg-type]
        return cls


def _kind_of(
    name: str,
    *,
    version: str,
    group: str = "",
    plural: str = "",
    scope: str = "Namespaced",
    short: Iterable[str] = (),
    **more: Iterable[str],
) -> Kind:
    unknown = set(more) - {"categories", "subresources", "verbs"}
    if unknown or scope not in ("Namespaced", "Cluster"):
        raise TypeError(f"{name}: unknown {sorted(unknown) or scope!r} in the class statement")
    plural = plural or _plural(name.lower())
    categories, subresources = tuple(more.get("categories", ())), tuple(more.get("subresources", ()))
    verbs = tuple(more.get("verbs", ALL_VERBS))
    return Kind(group, version, name, plural, scope == "Namespaced", tuple(short), categories, subresources, verbs)


def _plural(singular: str) -> str:
    if singular.endswith(("s", "x", "ch")):
        return singular + "es"
    return singular[:-1] + "ies" if singular.endswith("y") and singular[-2] not in "aeiou" else singular + "s"


class Resource(View, metaclass=_ResourceMeta):
    """Base of every kind. The hooks below are what a kind's file may override; each has Kubernetes' default behaviour.

    Drafts (`dict`) are the API server's: the one place where an object is written. Views are for everyone else.
    """

    metadata: ObjectMeta = ObjectMeta()

    kind: ClassVar[Kind]
    columns: ClassVar[tuple[Column, ...]] = ()
    # `Name` stands first and `Age` comes from the kind's own columns; events show their name last.
    name_column: ClassVar[bool] = True
    # Whether metadata.generation counts changes of the desired state.
    counts_generations: ClassVar[bool] = False
    # Field selectors beyond metadata.name and metadata.namespace: path -> how to read it.
    selectable: ClassVar[Mapping[str, Callable[[Any], str]]] = {}
    # A view of these fields alone, for kinds of which the whole takes long to read.
    selectable_view: ClassVar[type[View] | None] = None
    # PUT without resourceVersion overwrites (True) or is refused (False); PUT to a missing name may create.
    unconditional_update: ClassVar[bool] = True
    create_on_update: ClassVar[bool] = False
    # Whether its rules are about the form in which it is sent, where it is stored in that of another kind.
    judged_as_seen: ClassVar[bool] = False
    # DELETE answers with the object instead of a Status.
    delete_returns_object: ClassVar[bool] = False
    # The warning to everyone who asks for objects of this kind.
    deprecation: ClassVar[str] = ""
    # "subdomain", "label", "service" (DNS-1035), "path" or "ip": which names are legal.
    name_rule: ClassVar[str] = "subdomain"
    # Whether whoever creates an object may say its first status, too.
    begins_with_status: ClassVar[bool] = False
    # The metadata that a write through `/status` leaves as it is; it takes the rest along.
    kept_by_status_writes: ClassVar[tuple[str, ...]] = ()
    # What happens to dependents when a DELETE does not say.
    default_propagation: ClassVar[str] = "Background"

    @classmethod
    def schema(cls) -> Schema:
        """Which fields objects of this kind may have."""
        return schema_for(cls.kind.api_version, cls.kind.name)

    @classmethod
    def sibling(cls, api_version: str) -> type[Resource] | None:
        """The same kind in another version, if there is such."""
        return kind_named(api_version, cls.kind.name)

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """Set what the server decides at creation, after defaulting."""

    @classmethod
    def prepare_update(cls, draft: dict[str, Any], old: dict[str, Any]) -> None:
        """Carry over what an update of the main resource may not touch, before validation."""

    @classmethod
    def prepare_status_update(cls, draft: dict[str, Any], old: dict[str, Any]) -> None:
        """Carry over what a report of the status may leave out, before validation."""

    @classmethod
    def prepare_deletion(cls, draft: dict[str, Any], now: datetime) -> None:
        """Change what an object says of itself when its deletion is asked for, in a draft of its own."""

    def validate(self, old: Self | None) -> Iterator[FieldError]:
        """Every broken rule of this object; `old` is the stored one on update."""
        return iter(())

    def validate_status(self, old: Self) -> Iterator[FieldError]:
        """Every broken rule of a write through `/status`."""
        return iter(())

    def validate_subresource(self, subresource: str, old: Self) -> Iterator[FieldError]:
        """Every broken rule of a write through a subresource that is the kind's own."""
        return self.validate(old)

    def row_conditions(self) -> list[dict[str, Any]]:
        """Table row conditions; finished pods have one."""
        return []

    @property
    def key(self) -> str:
        """`namespace/name`, or `name`."""
        return self.metadata.key

    def with_status(self, **changes: Any) -> Self:
        """This object with some status fields changed: the argument of `SetStatus`."""
        return self.replace(status=self.status.replace(**changes))  # type: ignore[attr-defined]


_by_gvk: dict[tuple[str, str], type[Resource]] = {}
_by_path: dict[tuple[str, str, str], type[Resource]] = {}


def register(cls: type[Resource], kind: Kind) -> None:
    """Make a kind known; two kinds of one name in one group and version are a mistake of ours."""
    cls.kind = kind
    if (kind.api_version, kind.name) in _by_gvk:
        raise TypeError(f"kind {kind.name} of {kind.api_version} is declared twice")
    _by_gvk[kind.api_version, kind.name] = cls
    _by_path[kind.group, kind.version, kind.plural] = cls


def all_kinds() -> tuple[type[Resource], ...]:
    """Every registered kind, in the order of registration."""
    return tuple(_by_gvk.values())


def kind_named(api_version: str, name: str) -> type[Resource] | None:
    """The kind `name` of `api_version`, if it is served."""
    return _by_gvk.get((api_version, name))


def kind_at(group: str, version: str, plural: str) -> type[Resource] | None:
    """The kind served at a URL path, if any."""
    return _by_path.get((group, version, plural))
