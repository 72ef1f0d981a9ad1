"""Images: which images lie on which nodes, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.columns.arrays import IntArray
from wherry.api.core.node import Node


class Images:
    """Sizes by image and node; an array over the rows is made when somebody asks for an image."""

    def __init__(self) -> None:
        self._sizes: dict[str, dict[str, int]] = {}
        self._on: dict[str, dict[str, int]] = {}
        self._arrays: dict[str, IntArray] = {}

    def describe(self, node: Node) -> bool:
        """Take over what the node reports; whether that is news."""
        now = {name: image.size_bytes for image in node.status.images for name in image.names}
        if now == self._on.get(node.metadata.name, {}):
            return False
        self.forget(node.metadata.name)
        self._on[node.metadata.name] = now
        for name, size in now.items():
            self._sizes.setdefault(name, {})[node.metadata.name] = size
        return True

    def forget(self, node: str) -> None:
        """The node is gone."""
        for name in self._on.pop(node, {}):
            del self._sizes[name][node]
            if not self._sizes[name]:
                del self._sizes[name]
        self._arrays.clear()

    def rows_changed(self) -> None:
        """Nodes have other rows now."""
        self._arrays.clear()

    def sizes(self, image: str, row_of: Mapping[str, int]) -> IntArray | None:
        """Its size for each row, in bytes, zero where it is not; None if no node has it."""
        nodes = self._sizes.get(image)
        if nodes is None:
            return None
        array = self._arrays.get(image)
        if array is None:
            array = self._arrays[image] = np.zeros(len(row_of), dtype=np.int64)
            for node, size in nodes.items():
                array[row_of[node]] = size
        return array
