"""What a CustomResourceDefinition may declare, besides its schemas (`schema_rules.py`).

Kubernetes: apiextensions `validation`, messages included.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.extensions.definition_views import DefinitionSpec, Names, PrinterColumn, ScalePaths, Version
from wherry.api.extensions.schema_rules import check_schema
from wherry.machinery import jsonpath, names
from wherry.machinery.field_errors import FieldError, duplicate, invalid, not_supported, required, too_many
from wherry.machinery.meta import ObjectMeta
from wherry.machinery.validation import check_name, unchanged, under

SCOPES = ("Cluster", "Namespaced")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
MAX_SELECTABLE = 8
# Kubernetes knows no limit here: far more than any kind has, and few enough to serve. What was declared before stays.
MOST_VERSIONS, MOST_COLUMNS = 100, 256
APPROVED = "api-approved.kubernetes.io"


def is_protected(group: str) -> bool:
    """Whether a group is Kubernetes' own, to which only an approval adds."""
    return ("." + group).endswith((".k8s.io", ".kubernetes.io"))


def check_definition(
    metadata: ObjectMeta, wanted_name: str, spec: DefinitionSpec, old: DefinitionSpec | None
) -> Iterator[FieldError]:
    """Every broken rule that needs no look at the stored definition, except where it allows what was allowed before."""
    if metadata.name != wanted_name:
        yield invalid("metadata.name", metadata.name, 'must be spec.names.plural+"."+spec.group')
    yield from _check_approval(metadata, spec.group)
    yield from under("spec", _check_spec(spec, old))


def check_update(spec: DefinitionSpec, old: DefinitionSpec, *, is_established: bool) -> Iterator[FieldError]:
    """What is for life, once there may be objects."""
    yield from unchanged("spec.group", spec.group, old.group)
    yield from unchanged("spec.names.plural", spec.names.plural, old.names.plural)
    if is_established:
        yield from unchanged("spec.scope", spec.scope, old.scope)
        yield from unchanged("spec.names.kind", spec.names.kind, old.names.kind)


def check_stored_versions(spec: DefinitionSpec, stored: tuple[str, ...]) -> Iterator[FieldError]:
    """Objects that may be stored in a version need it declared."""
    if not stored:
        yield invalid("status.storedVersions", list(stored), "must have at least one stored version")
    declared = {version.name for version in spec.versions}
    for index, name in enumerate(stored):
        if name not in declared:
            why = (
                f"{name} was previously a storage version, and must remain in spec.versions until a storage migration "
            )
            why += f"ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            yield invalid(f"status.storedVersions[{index}]", name, "missing from spec.versions; " + why)
    if stored and spec.storage_version not in stored:
        yield invalid("status.storedVersions", list(stored), f"must have the storage version {spec.storage_version}")


def _check_approval(metadata: ObjectMeta, group: str) -> Iterator[FieldError]:
    if not is_protected(group):
        return
    approval = metadata.annotations.get(APPROVED, "")
    if not approval:
        why = f'protected groups must have approval annotation "{APPROVED}", see '
        yield required(
            f"metadata.annotations[{APPROVED}]", why + "https://github.com/kubernetes/enhancements/pull/1111"
        )
    elif not approval.startswith(("https://", "http://", "unapproved")):
        why = (
            f'protected groups must have approval annotation "{APPROVED}" with either a URL or a reason starting with '
        )
        yield invalid(
            f"metadata.annotations[{APPROVED}]",
            approval,
            why + '"unapproved", see https://github.com/kubernetes/enhancements/pull/1111',
        )


def _check_spec(spec: DefinitionSpec, old: DefinitionSpec | None) -> Iterator[FieldError]:
    if not spec.group:
        yield required("group")
    elif names.dns1123_subdomain(spec.group):
        yield from check_name("group", spec.group, names.dns1123_subdomain)
    elif "." not in spec.group:
        yield invalid("group", spec.group, "should be a domain with at least one dot")
    if not spec.scope:
        yield required("scope")
    elif spec.scope not in SCOPES:
        yield not_supported("scope", spec.scope, SCOPES)
    if spec.preserve_unknown_fields and not (old and old.preserve_unknown_fields):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid("preserveUnknownFields", True, why)
    yield from _check_versions(spec, old)
    yield from under("names", _check_names(spec.names))
    yield from under("conversion", _check_conversion(spec))


def _check_versions(spec: DefinitionSpec, old: DefinitionSpec | None) -> Iterator[FieldError]:
    if len(spec.versions) > max(MOST_VERSIONS, len(old.versions) if old else 0):
        yield too_many("versions", len(spec.versions), MOST_VERSIONS)
        return
    schemas = [version.open_schema for version in spec.versions]
    is_shared = all(schemas) and all(schema == schemas[0] for schema in schemas)
    if is_shared and schemas:
        # What all versions share is told of the definition as a whole.
        known_schema = old.versions[0].open_schema if old and old.versions else None
        if known_schema != schemas[0]:
            yield from under("validation.openAPIV3Schema", check_schema(schemas[0], known_schema))
    seen: set[str] = set()
    known = {version.name: version for version in old.versions} if old else {}
    paths = frozenset(path for version in known.values() for path in _paths_of(version))
    for index, version in enumerate(spec.versions):
        if version.name in seen:
            yield invalid("versions", [each.name for each in spec.versions], "must contain unique version names")
        seen.add(version.name)
        place = f"versions[{index}]"
        if names.dns1035_label(version.name):
            yield from check_name(f"{place}.name", version.name, names.dns1035_label)
        before = known.get(version.name)
        yield from under(place, _check_version(version, before, paths))
        if not is_shared and version.open_schema and not (before and before.open_schema == version.open_schema):
            path = f"{place}.schema.openAPIV3Schema"
            yield from under(path, check_schema(version.open_schema, before.open_schema if before else None))
    if sum(version.storage for version in spec.versions) != 1:
        yield invalid(
            "versions", [each.name for each in spec.versions], "must have exactly one version marked as storage version"
        )


def _paths_of(version: Version) -> Iterator[str]:
    yield from (column.json_path for column in version.additional_printer_columns)
    yield from (field.json_path for field in version.selectable_fields)
    scale = version.subresources.scale if version.subresources else None
    if scale is not None:
        yield from (scale.spec_replicas_path, scale.status_replicas_path, scale.label_selector_path)


def _check_version(version: Version, before: Version | None, paths: frozenset[str]) -> Iterator[FieldError]:
    """Broken rules of a version; `paths` were declared before and need not be within today's length."""
    if not version.open_schema:
        yield required("schema.openAPIV3Schema", "schemas are required")
    if version.deprecation_warning is not None and not version.deprecated:
        yield invalid("deprecationWarning", version.deprecation_warning, "can only be set for deprecated versions")
    scale = version.subresources.scale if version.subresources else None
    if scale is not None:
        yield from under(
            "subresources.scale",
            _check_scale(scale, paths),
        )
    if len(version.additional_printer_columns) > max(
        MOST_COLUMNS, len(before.additional_printer_columns) if before else 0
    ):
        yield too_many("additionalPrinterColumns", len(version.additional_printer_columns), MOST_COLUMNS)
        return
    for index, column in enumerate(version.additional_printer_columns):
        yield from under(f"additionalPrinterColumns[{index}]", _check_column(column, paths))
    if len(version.selectable_fields) > MAX_SELECTABLE:
        yield too_many("selectableFields", len(version.selectable_fields), MAX_SELECTABLE)
        return
    yield from under("selectableFields", _check_selectable(version, paths))


def _check_scale(scale: ScalePaths, paths: frozenset[str]) -> Iterator[FieldError]:
    for field, path, root in (
        ("specReplicasPath", scale.spec_replicas_path, ".spec."),
        ("statusReplicasPath", scale.status_replicas_path, ".status."),
        ("labelSelectorPath", scale.label_selector_path, ""),
    ):
        if not path:
            if field != "labelSelectorPath":
                yield required(field)
            continue
        wrong = _broken_path(path, paths)
        if wrong:
            yield invalid(field, path, wrong)
        elif root and not path.startswith(root):
            yield invalid(field, path, f"should be a json path under {root[:-1]}")
        elif not root and not path.startswith((".spec.", ".status.")):
            yield invalid(field, path, "should be a json path under either .spec or .status")


def _check_column(column: PrinterColumn, paths: frozenset[str]) -> Iterator[FieldError]:
    if not column.name:
        yield required("name")
    if not column.type:
        yield required("type", f"must be one of {','.join(COLUMN_TYPES)}")
    elif column.type not in COLUMN_TYPES:
        yield invalid("type", column.type, f"must be one of {','.join(COLUMN_TYPES)}")
    if column.format and column.format not in COLUMN_FORMATS:
        yield invalid("format", column.format, f"must be one of {','.join(COLUMN_FORMATS)}")
    if not column.json_path:
        yield required("jsonPath")
    elif wrong := _broken_path(column.json_path, paths):
        yield invalid("jsonPath", column.json_path, wrong)


def _check_selectable(version: Version, paths: frozenset[str]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, field in enumerate(version.selectable_fields):
        path, place = field.json_path, f"[{index}].jsonPath"
        wrong = _broken_path(path, paths)
        if not path:
            yield required(place)
        elif wrong:
            yield invalid(place, path, f"is an invalid path: {wrong}")
        elif path.startswith(".metadata"):
            yield invalid(place, path, "must not point to fields in metadata")
        elif _scalar_at(version.open_schema, path) is None:
            yield invalid(place, path, "is an invalid path: does not refer to a valid field")
        elif _scalar_at(version.open_schema, path) not in ("string", "boolean", "integer"):
            yield invalid(
                place,
                path,
                "must point to a field of type string, boolean or integer. "
                "Enum string fields and strings with formats are allowed.",
            )
        if path in seen:
            yield duplicate(place, path)
        seen.add(path)


def _scalar_at(schema: dict[str, object], path: str) -> str | None:
    """The type of the field at a path through objects; None if there is none."""
    node: object = schema
    for step in jsonpath.parse(path):
        fields = node.get("properties") if isinstance(node, dict) else None
        if not isinstance(step, jsonpath.Key) or not isinstance(fields, dict) or step.name not in fields:
            return None
        node = fields[step.name]
    return str(node.get("type", "")) if isinstance(node, dict) else None


def _broken_path(path: str, known: frozenset[str]) -> str:
    if len(path) > jsonpath.LONGEST and path not in known:
        return f"is longer than {jsonpath.LONGEST} characters"
    if path and not path.startswith((".", "[", "{")):
        return "must be a simple json path starting with ."
    try:
        jsonpath.parse(path)
    except ValueError as error:
        return str(error)
    return ""


def _check_names(given: Names) -> Iterator[FieldError]:
    for field, name in (("plural", given.plural), ("singular", given.singular)):
        yield from _check_word(field, name)
    for field, name in (("kind", given.kind), ("listKind", given.list_kind)):
        if not name:
            yield required(field)
        elif wrong := names.dns1035_label(name.lower()):
            yield invalid(field, name, "may have mixed case, but should otherwise match: " + ",".join(wrong))
    if given.kind and given.kind == given.list_kind:
        yield invalid("listKind", given.list_kind, "kind and listKind may not be the same")
    for field, words in (("shortNames", given.short_names), ("categories", given.categories)):
        for index, word in enumerate(words):
            if wrong := names.dns1035_label(word):
                yield invalid(f"{field}[{index}]", word, ",".join(wrong))


def _check_word(field: str, name: str) -> Iterator[FieldError]:
    if not name:
        yield required(field)
    elif wrong := names.dns1035_label(name):
        yield invalid(field, name, ",".join(wrong))


def _check_conversion(spec: DefinitionSpec) -> Iterator[FieldError]:
    conversion = spec.conversion
    if conversion.strategy not in ("None", "Webhook"):
        yield not_supported("strategy", conversion.strategy, ("None", "Webhook"))
    elif conversion.strategy == "None":
        if conversion.webhook is not None:
            yield FieldError(
                "webhookClientConfig",
                "FieldValueForbidden",
                "Forbidden: should not be set when strategy is not set to Webhook",
            )
    elif conversion.webhook is None or not conversion.webhook.client_config.raw:
        yield required("webhookClientConfig", "required when strategy is set to Webhook")
    else:
        config = conversion.webhook.client_config.raw
        if bool(config.get("url")) == bool(config.get("service")):
            yield required("webhookClientConfig", "exactly one of url or service is required")
        if not conversion.webhook.conversion_review_versions:
            yield required("conversionReviewVersions")
