"""Secret: settings that not everybody may read."""

from __future__ import annotations

from wherry.machinery.resource import Resource


class Secret(Resource, version="v1"):
    """Settings that not everybody may read; values are base64."""

    data: dict[str, str] = {}
    type: str = "Opaque"
    immutable: bool = False

    selectable = {"type": lambda secret: secret.type}

    def __repr__(self) -> str:
        return f"Secret({self.key}, data withheld)"
