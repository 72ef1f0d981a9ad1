"""The `wherry` command: one verb per file, read only when it is called, so that `wherry --help` answers at once.

Belongs here: options, what is printed, exit codes. Never belongs here: how a cluster is made (`wherry.cluster`).
To add a verb, write `wherry/cli/VERB.py` with a click command `command`; its docstring's first line is its help.
"""

from wherry.cli.main import main

__all__ = ["main"]
