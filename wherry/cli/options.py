"""Options that several verbs share, and how problems are shown."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from wherry.cluster.layout import DEFAULT_NAME
from wherry.cluster.problem import ClusterProblem

# EX_USAGE of sysexits.h.
NOT_UNDERSTOOD = 64

name_option = click.option("--name", default=DEFAULT_NAME, help="Which cluster; several live side by side.")
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where its data is. [default: /var/lib/wherry/NAME as root, else ~/.local/share/wherry/NAME]",
)

kubeconfig_option = click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Ask the cluster of this file instead of one of this machine.",
    is_eager=True,  # it says which namespace is meant
)


def namespace_option(whose: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The namespace that is given, or that of the kubeconfig's context, as with kubectl."""
    said = f"{whose} [default: that of the kubeconfig's context, else default]"
    return click.option("-n", "--namespace", callback=_namespace, help=said)


def _namespace(context: click.Context, _: click.Parameter, given: str | None) -> str:
    file = context.params.get("kubeconfig")
    if given or file is None:
        return given or "default"
    from wherry.client.kubeconfig import KubeconfigError, load_connection

    try:
        return load_connection(file).namespace
    except KubeconfigError as error:
        raise click.ClickException(str(error)) from error


def scheduler_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of verbs that think as the scheduler does."""
    file, folder = click.Path(exists=True, dir_okay=False, path_type=Path), click.Path(file_okay=False, path_type=Path)
    plugins = click.option("--plugins", type=folder, help="The folder of plugins that the scheduler was given.")
    return click.option("--config", type=file, help="The configuration that the scheduler was given.")(plugins(command))


def says_problems_with(status: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """As `says_problems`, with another exit status than 1."""

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            try:
                return command(*args, **kwargs)
            except ClusterProblem as problem:
                click.ClickException(str(problem)).show()
                sys.exit(status)

        return wrapper

    return decorated


def says_problems(command: Callable[..., Any]) -> Callable[..., Any]:
    """Show a ClusterProblem as click shows its own errors."""
    return says_problems_with(1)(command)


def say(line: str) -> None:
    """A line of progress; results go to standard output, progress does not."""
    click.echo(line, err=True)


class _NotUnderstood(click.UsageError):
    exit_code = NOT_UNDERSTOOD


class StrictCommand(click.Command):
    """A verb whose exit status 2 means something: not to be understood has a status of its own, as in sysexits.h."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's own."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _NotUnderstood(error.format_message(), error.ctx) from error
