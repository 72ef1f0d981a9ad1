"""The nodes as arrays, one element per node, so that one numpy expression answers for the whole cluster.

`Table` holds the arrays, `Columns` is the window plugins read them through. What a plugin gets from it may be live: it
builds new arrays and never writes into these.

Belongs here: the arrays, and the questions about labels and taints that plugins ask of them. Never belongs here: which
pods are on which node (`scheduler/snapshot.py`), or what is good and bad.
"""

from scheduler.columns.arrays import ALL_ROWS, FloatArray, IntArray, Mask, Rows
from scheduler.columns.interned import Interned
from scheduler.columns.table import Table
from scheduler.columns.window import Columns

__all__ = ["ALL_ROWS", "Columns", "FloatArray", "IntArray", "Interned", "Mask", "Rows", "Table"]
