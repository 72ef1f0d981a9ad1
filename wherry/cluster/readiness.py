"""Waiting for a cluster: until its API server is ready and every node of it says Ready, with a word on each step."""

from __future__ import annotations

import time
from collections.abc import Callable

from wherry.cluster.layout import Layout
from wherry.cluster.probe import Probe
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import Settings
from wherry.cluster.supervision.logs import last_lines
from wherry.cluster.supervision.running import reports_of, supervisor_of

READY_SECONDS = 120.0
_SUPERVISOR_SECONDS = 10.0
_POLL_SECONDS = 0.03
# A process that ended so often while the cluster started will not come up by itself.
_MOST_STARTS = 4
_SHOWN_LINES = 12


def api_probe(layout: Layout, settings: Settings) -> Probe:
    """The API server, asked as admin."""
    return Probe(settings.url, layout.ca_file, layout.certificate("admin"), layout.key("admin"))


def wait_until_listening(layout: Layout, settings: Settings) -> None:
    """Return when the API server has its port; raises ClusterProblem if it does not get it."""
    probe = api_probe(layout, settings)
    _wait(layout, time.monotonic(), "the API server does not listen", probe.is_listening)


def wait_until_ready(
    layout: Layout, settings: Settings, say: Callable[[str], None], once_served: Callable[[Settings], None]
) -> None:
    """Return when the cluster is ready; raises ClusterProblem with what is missing and where to look.

    `once_served` is called as soon as the API answers, while nodes are still on their way.
    """
    probe = api_probe(layout, settings)
    began = time.monotonic()
    _wait(layout, began, "the API server is not ready", lambda: probe.status("/readyz") == 200)
    say(f"API server ready after {time.monotonic() - began:.1f} s")
    once_served(settings)
    count = len(settings.nodes) + settings.fake_nodes
    if count:
        # What nodes said of themselves before the cluster was stopped is no news of them.
        since = min((report.since for report in reports_of(layout) if report.since), default="")
        _wait(layout, began, f"not all of {count} nodes are Ready", lambda: len(ready_nodes(probe, since)) >= count)
        say(f"{count} node{'s' if count > 1 else ''} Ready after {time.monotonic() - began:.1f} s")
    # Some are still on their way when the API answers; who asks `wherry status` next must find none of them down.
    _wait(layout, began, "not every component runs", lambda: all(report.is_ready for report in reports_of(layout)))


def ready_nodes(probe: Probe, since: str = "") -> list[str]:
    """The names of the nodes that are Ready and, where a time is given, have said so since then."""
    listed = probe.json("/api/v1/nodes") or {"items": []}
    return [node["metadata"]["name"] for node in listed["items"] if _is_ready(node, since)]


def _is_ready(node: dict[str, dict[str, list[dict[str, str]]]], since: str) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    ready = [each for each in conditions if each["type"] == "Ready" and each["status"] == "True"]
    return any(each.get("lastHeartbeatTime", "") >= since for each in ready)


def _wait(layout: Layout, began: float, problem: str, is_so: Callable[[], bool]) -> None:
    while not is_so():
        waited = time.monotonic() - began
        if waited > _SUPERVISOR_SECONDS and supervisor_of(layout) is None:
            raise ClusterProblem(_explained(layout, f"{problem}: the supervisor ended", ["supervisor"]))
        dying = [report.name for report in reports_of(layout) if report.starts >= _MOST_STARTS]
        if dying or waited > READY_SECONDS:
            late = dying or [report.name for report in reports_of(layout) if not report.is_ready]
            raise ClusterProblem(_explained(layout, f"{problem} after {waited:.0f} s", late))
        time.sleep(_POLL_SECONDS)


def _explained(layout: Layout, problem: str, processes: list[str]) -> str:
    shown = [problem]
    for name in processes:
        shown.append(f"--- the end of {layout.log(name)}")
        shown += last_lines(layout.log(name), _SHOWN_LINES)
    return "\n".join(shown)
