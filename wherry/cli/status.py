"""`wherry status`"""

from __future__ import annotations

from pathlib import Path

import click

from wherry.cli.options import data_dir_option, says_problems
from wherry.cluster.layout import Layout, clusters_dir, layout_of, options_of
from wherry.cluster.overview import Overview, all_layouts, layout_in, overview_of
from wherry.cluster.supervision.report import ChildReport


@click.command()
@click.option("--name", help="Only this cluster. [default: all in the usual place]")
@data_dir_option
@says_problems
def command(name: str | None, data_dir: Path | None) -> None:
    """Show the clusters of this machine and how they do.

    The exit status is 1 when a cluster is not well, or there is none.
    """
    layouts = [layout_of(name, data_dir)] if name else [layout_in(data_dir)] if data_dir else all_layouts()
    overviews = [overview for layout in layouts if (overview := overview_of(layout))]
    if not overviews:
        raise click.ClickException(_none(layouts))
    for overview in overviews:
        click.echo(_shown(overview))
    if not all(overview.is_well for overview in overviews):
        raise SystemExit(1)


def _none(layouts: list[Layout]) -> str:
    searched = ", ".join(str(layout.data_dir) for layout in layouts) or str(clusters_dir())
    elsewhere = "one that was started with --data-dir or --name is shown with the same options"
    return f"there is no cluster in {searched}; `wherry up` starts one, and {elsewhere}"


def _shown(overview: Overview) -> str:
    settings = overview.settings
    state = "running" if overview.is_well else "troubled" if overview.is_running else "stopped"
    lines = [f"{overview.layout.name}: {state}  {settings.url}  store {settings.store}  {overview.layout.data_dir}"]
    if overview.is_running:
        lines += [_process(report) for report in overview.processes]
        lines.append(f"  nodes  {len(overview.ready_nodes)} of {overview.nodes} Ready")
        pods = overview.pods
        counts = "the API server does not answer" if pods is None else ", ".join(f"{n} {p}" for p, n in pods.items())
        lines.append(f"  pods   {counts or 'none'}")
    else:
        why = "it was not ended by `wherry down`; " if overview.layout.supervisor_file.exists() else ""
        lines.append(f"  {why}`wherry up{options_of(overview.layout)}` brings it back, with its data")
    return "\n".join(lines)


def _process(report: ChildReport) -> str:
    if report.process is None:
        ended = "" if report.exit_code is None else f", ended with {report.exit_code}"
        return f"  {report.name:<24} down{ended}"
    restarts = f", restarted {report.starts - 1} times" if report.starts > 1 else ""
    return f"  {report.name:<24} pid {report.process.pid}, since {report.since}{restarts}"
