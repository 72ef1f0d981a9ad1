"""What runs on this machine: for `wherry status`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wherry.cluster.layout import Layout, clusters_dir
from wherry.cluster.readiness import api_probe, ready_nodes
from wherry.cluster.settings import Settings, load_settings, name_in
from wherry.cluster.supervision.report import ChildReport
from wherry.cluster.supervision.running import reports_of, supervisor_of


@dataclass(frozen=True, slots=True)
class Overview:
    """A cluster at a glance. `pods` counts by phase; None where the API server does not answer."""

    layout: Layout
    settings: Settings
    is_running: bool
    processes: tuple[ChildReport, ...]
    ready_nodes: tuple[str, ...]
    nodes: int
    pods: dict[str, int] | None

    @property
    def is_well(self) -> bool:
        """Whether everything that should run does."""
        return self.is_running and self.pods is not None and all(report.is_ready for report in self.processes)


def overview_of(layout: Layout) -> Overview | None:
    """One cluster, None if there is none of that name."""
    settings = load_settings(layout)
    if settings is None:
        return None
    is_running = supervisor_of(layout) is not None
    ready: tuple[str, ...] = ()
    pods = None
    if is_running:
        probe = api_probe(layout, settings)
        ready, pods = tuple(ready_nodes(probe)), _phases(probe.json("/api/v1/pods"))
    alive = tuple(_as_seen(report) for report in reports_of(layout))
    return Overview(layout, settings, is_running, alive, ready, len(settings.nodes) + settings.fake_nodes, pods)


def all_layouts() -> list[Layout]:
    """Every cluster in the usual place."""
    found = sorted(clusters_dir().glob("*/cluster.json"))
    return [layout_in(file.parent) for file in found]


def layout_in(folder: Path) -> Layout:
    """The cluster of a folder, whatever its name is."""
    folder = folder.expanduser().absolute()
    return Layout(name_in(folder) or folder.name, folder)


def _as_seen(report: ChildReport) -> ChildReport:
    """A process that is gone is down, whatever its supervisor last said."""
    if report.process is None or report.process.is_alive:
        return report
    return ChildReport(report.name, None, report.since, report.starts, report.exit_code, False)


def _phases(pods: Any) -> dict[str, int] | None:
    if pods is None:
        return None
    return dict(Counter(pod["status"].get("phase", "Unknown") for pod in pods["items"]))
