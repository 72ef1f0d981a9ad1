"""The arrays that columns are made of, one element per node; and amounts of resources, an array each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from scheduler.pods.requests import LARGEST

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = slice | IntArray

ALL_ROWS = slice(None)


class AmountColumns:
    """Whole numbers per resource and row: `amounts["cpu"]`. A resource nobody mentioned is zero everywhere."""

    __slots__ = ("_arrays", "_size")

    def __init__(self) -> None:
        self._arrays: dict[str, IntArray] = {}
        self._size = 0

    def __getitem__(self, resource: str) -> IntArray:
        array = self._arrays.get(resource)
        return np.zeros(self._size, dtype=np.int64) if array is None else array

    def append(self) -> None:
        """Add a row of zeros."""
        self._size += 1
        self._arrays = {name: np.append(array, 0) for name, array in self._arrays.items()}

    def delete(self, row: int) -> None:
        """Remove a row; those behind it move up."""
        self._size -= 1
        self._arrays = {name: np.delete(array, row) for name, array in self._arrays.items()}

    def set(self, row: int, amounts: Mapping[str, int]) -> None:
        """Write one row; resources not named keep their value."""
        for name, size in amounts.items():
            if name not in self._arrays:
                self._arrays[name] = np.zeros(self._size, dtype=np.int64)
            self._arrays[name][row] = size if size < LARGEST else LARGEST

    def clear(self, row: int) -> None:
        """Zero one row."""
        for array in self._arrays.values():
            array[row] = 0
