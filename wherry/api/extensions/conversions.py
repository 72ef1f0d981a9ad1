"""Objects in other versions, as a webhook has converted them.

Whoever needs one asks here, at once; if it is not known yet, `NotConverted` says what to ask the webhook
(`apiserver/extensions/converting.py` does, and begins again). Kept by content, so an answer is right for ever.

Differs: an answer may depend on what is in an object and on its labels and annotations, not on its name.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import orjson

from wherry.api.extensions.definition_views import WebhookConversion

Json = dict[str, Any]
# Answers kept for each definition.
MOST_KEPT = 20_000
# Of the metadata a webhook may change these, and no others.
THEIRS = ("labels", "annotations")


class Conversions:
    """See the module."""

    def __init__(self, webhook: WebhookConversion) -> None:
        self.webhook = webhook
        self._known: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()

    def find(self, draft: Json, api_version: str) -> Json:
        """The object in that version; raises NotConverted."""
        if draft["apiVersion"] == api_version:
            return draft
        known = self._known.get(key_of(draft, api_version))
        if known is None:
            raise NotConverted(self, draft, api_version)
        converted: Json = orjson.loads(known)
        ours = {name: value for name, value in draft["metadata"].items() if name not in THEIRS}
        return {**converted, "metadata": {**ours, **converted["metadata"]}}

    def has(self, draft: Json, api_version: str) -> bool:
        """Whether there is nothing to ask."""
        return draft["apiVersion"] == api_version or key_of(draft, api_version) in self._known

    def keep(self, draft: Json, api_version: str, converted: Json) -> None:
        """Remember an answer."""
        metadata = converted.get("metadata") or {}
        kept = {name: metadata[name] for name in THEIRS if isinstance(metadata.get(name), dict)}
        self._known[key_of(draft, api_version)] = orjson.dumps({**converted, "metadata": kept})
        if len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)


def key_of(draft: Json, api_version: str) -> tuple[str, bytes]:
    """What a conversion depends on: not on metadata that the server writes, and writes anew at each attempt."""
    metadata = {name: draft["metadata"][name] for name in THEIRS if name in draft["metadata"]}
    return api_version, orjson.dumps({**draft, "metadata": metadata}, option=orjson.OPT_SORT_KEYS)


class NotConverted(Exception):
    """An object is needed in a version in which nobody has seen it yet."""

    def __init__(self, conversions: Conversions, draft: Json, api_version: str) -> None:
        super().__init__(f"not converted to {api_version}")
        self.conversions, self.draft, self.api_version = conversions, draft, api_version
        # The answer to a write that is done already: only its form was missing.
        self.resume: Any = None
