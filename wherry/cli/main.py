"""The group of all verbs. A verb's module is imported when the verb is called, or when its own help is asked for."""

from __future__ import annotations

import importlib

import click

# In the order in which `wherry --help` shows them.
VERBS = {
    "up": "Start a cluster on this machine and wait until it is ready.",
    "down": "Stop a cluster and take everything of it off this machine but its data.",
    "status": "Show the clusters of this machine and how they do.",
    "timeline": "Show what happened to a pod or a node, in order, and which timer fired when.",
    "why": "Explain why a pod is on its node, or why it has none and what would have to change.",
    "plan": "Tell whether a manifest's pods would get nodes now, and which, without placing anything.",
    "who": "Show who holds which cards, where, and since when.",
    "queue": "Show the pods that wait for a node, in the order in which they are tried, and why each waits.",
    "fairshare": "Show what everybody has used, which share that is, and whose turn it is.",
    "simulate": "Replay a workload on pretended nodes and compare policies of scheduling.",
}


class _Verbs(click.Group):
    """Verbs by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"wherry.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wherry", prog_name="wherry")
def main() -> None:
    """A small, real Kubernetes on this machine.

    \b
      wherry up                      a cluster; kubectl's current context points to it
      kubectl apply -f examples/web.yaml
      wherry down --purge            as if it had never been here
    """
