"""ConfigMap: settings for pods, read by wherry/volumes and as environment variables."""

from __future__ import annotations

from wherry.machinery.resource import Resource


class ConfigMap(Resource, version="v1", short=("cm",)):
    """Settings for pods. `binary_data` is base64."""

    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
    immutable: bool = False
