"""What Kubernetes fills in where a Job says nothing. A CronJob's template keeps its author's words.

Kubernetes: batch/v1 `SetDefaults_Job`.
"""

from __future__ import annotations

from typing import Any

from wherry.api.filling import fill_empty
from wherry.machinery.schema import defaults

BATCH = "io.k8s.api.batch.v1."
MAX_INT32 = 2**31 - 1

fill_empty(BATCH + "PodFailurePolicyOnPodConditionsPattern", status="True")


@defaults(BATCH + "Job")
def _fill_job(job: dict[str, Any]) -> None:
    spec = job.get("spec")
    if spec is None:
        return
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    # With a limit for each index the one for all is out of the way.
    spec.setdefault("backoffLimit", MAX_INT32 if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
