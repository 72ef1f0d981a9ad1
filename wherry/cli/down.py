"""`wherry down`"""

from __future__ import annotations

from pathlib import Path

import click

from wherry.cli.options import data_dir_option, name_option, say, says_problems
from wherry.cluster.layout import layout_of
from wherry.cluster.stopping import stop


@click.command()
@name_option
@data_dir_option
@click.option("--purge", is_flag=True, help="Remove its data too.")
@says_problems
def command(name: str, data_dir: Path | None, purge: bool) -> None:
    """Stop a cluster and take everything of it off this machine but its data.

    Processes, containers, networks, rules, mounts and the context in the kubeconfig are gone, whatever crashed before.
    A cluster that is not there is no error, so this may be run twice.
    """
    stop(layout_of(name, data_dir), say, purge=purge)
