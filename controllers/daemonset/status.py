"""On how many nodes a DaemonSet is as it should be. Kubernetes: updateDaemonSetStatus."""

from __future__ import annotations

from controllers.daemonset.roster import Roster
from wherry.api.apps.daemonset import DaemonSet


def counted(roster: Roster) -> DaemonSet:
    """The DaemonSet with its counts; of several pods on a node the oldest counts."""
    wanted = roster.wanted
    pods = [roster.pods[node][0] for node in wanted if roster.pods.get(node)]
    ready = [pod for pod in pods if pod.status.ready]
    available = sum(map(roster.is_up, ready))
    return roster.ds.with_status(
        desired_number_scheduled=len(wanted),
        current_number_scheduled=len(pods),
        number_misscheduled=sum(not fit.runs and bool(roster.pods.get(node)) for node, fit in roster.fits.items()),
        number_ready=len(ready),
        number_available=available,
        number_unavailable=len(wanted) - available,
        updated_number_scheduled=sum(map(roster.is_new, pods)),
        observed_generation=roster.ds.metadata.generation,
    )
