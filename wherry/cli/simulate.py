"""`wherry simulate`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from scheduler.config import plugins_of
from scheduler.framework import Plugin, load_plugins
from scheduler.settings import PluginConfig, PluginName, Plugins, PluginSet, ProfileConfig
from wherry.cli.asking import blames_plugins, scheduling_rules
from wherry.cli.options import says_problems
from wherry.cluster.problem import ClusterProblem
from wherry.sim.chart import chart
from wherry.sim.measures import course, left_over, table
from wherry.sim.replay import replay
from wherry.sim.trace import TraceError, read_nodes, read_tasks

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
# Kubernetes' own plugins alone: what ours add is the policy `default`.
_OURS = ("GpuNodesLast", "GpuPacking")
_PLAIN = Plugins(multi_point=PluginSet(disabled=tuple(PluginName(name=name) for name in _OURS)))
_RESOURCES = [{"name": "cpu"}, {"name": "memory"}, {"name": "nvidia.com/gpu", "weight": 5}]


@click.command()
@click.option("--nodes", type=FILE, required=True, help="YAML: kinds of nodes, each with its number.")
@click.option("--trace", type=FILE, required=True, help="CSV: jobs, when they come, how long they run, what they want.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    default=("spread", "pack"),
    show_default=True,
    help="spread, pack, default, mine (with --plugins), or NAME=FILE with a configuration. Repeat to compare.",
)
@click.option("--plugins", type=FOLDER, help="A folder of plugins of your own, for `mine` and for files.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the course of it, as SVG.")
@click.option("--seed", type=int, default=0, show_default=True, help="Decides between nodes that are equally good.")
@says_problems
@blames_plugins
def command(
    nodes: Path, trace: Path, policies: tuple[str, ...], plugins: Path | None, plot: Path | None, seed: int
) -> None:
    """Replay a workload on pretended nodes and compare policies of scheduling.

    It tells how full the nodes were, how broken up what was free, and how long pods waited. Time is virtual, a day
    takes seconds. The exit status is 1 if some pods were never placed, and their jobs are named. Queue, plugins and
    preemption are the scheduler's own. `spread` and `pack` are what Kubernetes' plugins do, `default` adds those for
    GPUs, and `mine` adds yours to `spread`.
    """
    if plot is not None and not plot.absolute().parent.is_dir():
        raise ClusterProblem(f"--plot {plot}: there is no folder {plot.absolute().parent}")
    try:
        machines, tasks = read_nodes(nodes), read_tasks(trace)
    except TraceError as error:
        raise ClusterProblem(str(error)) from error
    chosen = dict(_policy(text, plugins) for text in policies)
    histories = {name: replay(machines, tasks, rules, seed) for name, rules in chosen.items()}
    click.echo("\n".join(table(histories)))
    if plot is not None:
        plot.write_text(chart({name: course(history) for name, history in histories.items()}))
        click.echo(f"drawn in {plot}", err=True)
    if left := {name: left_over(history) for name, history in histories.items() if history.pending}:
        raise ClusterProblem("; ".join(f"under {name} never placed: {text}" for name, text in left.items()))


def _policy(text: str, folder: Path | None) -> tuple[str, Sequence[Plugin]]:
    name, has_file, file = text.partition("=")
    if has_file:
        rules = scheduling_rules(Path(file), folder)
        return name, next(iter(rules.values()))
    known = load_plugins(folder if name == "mine" else None)
    match name:
        case "spread":
            return name, plugins_of(ProfileConfig(plugins=_PLAIN), known)
        case "default":
            return name, plugins_of(ProfileConfig(), known)
        case "pack":
            strategy = {"scoringStrategy": {"type": "MostAllocated", "resources": _RESOURCES}}
            fit = PluginConfig(name="NodeResourcesFit", args=strategy)
            return name, plugins_of(ProfileConfig(plugins=_PLAIN, plugin_config=(fit,)), known)
        case "mine" if folder is not None:
            return name, plugins_of(ProfileConfig(plugins=_PLAIN), known)
    raise click.BadParameter(
        f"{text!r}: expected spread, pack, default, mine (with --plugins) or NAME=FILE", param_hint="--policy"
    )
