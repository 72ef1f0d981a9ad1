"""`wherry plan`"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import yaml

from scheduler.explaining.forecast import Forecast, Verdict
from scheduler.explaining.text import explain
from wherry.cli.asking import admin_kubeconfig, blames_plugins, rules_here, scheduling_rules
from wherry.cli.options import (
    StrictCommand,
    data_dir_option,
    kubeconfig_option,
    name_option,
    namespace_option,
    says_problems_with,
    scheduler_options,
)
from wherry.cli.trying import Trial, forecast_of
from wherry.cluster.problem import ClusterProblem

# Beyond what a forecast can say.
CANNOT_TELL = 3
_WORDS = {
    Verdict.FITS: "it fits",
    Verdict.PREEMPTS: "it fits if others make way",
    Verdict.DOES_NOT_FIT: "it does not fit",
}


@click.command(cls=StrictCommand)
@click.option(
    "-f", "--filename", "files", required=True, multiple=True, help="A manifest, or - for standard input; also several."
)
@namespace_option("Of objects that name none.")
@scheduler_options
@kubeconfig_option
@name_option
@data_dir_option
@says_problems_with(CANNOT_TELL)
@blames_plugins
def command(
    files: tuple[str, ...],
    namespace: str,
    config: Path | None,
    plugins: Path | None,
    kubeconfig: Path | None,
    name: str,
    data_dir: Path | None,
) -> None:
    """Tell whether a manifest's pods would get nodes now, and which, without placing anything.

    The exit status is 0 if all fit, 1 if other pods would have to make way or move for some of them, 2 if some do not
    fit or would not even be made, as beyond a quota, 3 if that cannot be told, as of a manifest that the API server
    would not take, and 64 if the command is not understood.

    It knows pods, what makes pods, and what these need and may come in the same file: quotas, priority classes, groups,
    and claims on volumes and devices; other objects are passed over. The API server checks and completes the pods as if
    they were created (priority, limits, quotas), and changes nothing.
    """
    about = ", ".join(files)
    trial = Trial([document for each in files for document in _documents(each)], namespace)
    if not trial.wanted:
        raise ClusterProblem(f"{about}: there is nothing in it that makes pods")
    rules = scheduling_rules(config, plugins) if kubeconfig else rules_here(config, plugins, name, data_dir)
    told, owners = forecast_of(kubeconfig or admin_kubeconfig(name, data_dir), rules, trial, about=about)
    click.echo("\n".join(_lines(told, owners)))
    sys.exit(told.verdict)


def _documents(filename: str) -> Iterator[dict[str, Any]]:
    try:
        with click.open_file(filename) as file:
            documents = list(yaml.safe_load_all(file))
    except OSError as error:
        raise ClusterProblem(f"{filename}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ClusterProblem(f"{filename}: not YAML: {error}") from error
    for document in documents:
        if isinstance(document, dict):
            yield from document["items"] if isinstance(document.get("items"), list) else [document]
        elif document is not None:
            raise ClusterProblem(f"{filename}: expected objects, found {document!r:.60}")


def _lines(told: Forecast, owners: Mapping[str, str]) -> Iterator[str]:
    yield _WORDS[told.verdict]
    yield from told.lines()
    if (first := told.stuck) is not None:
        decision = first.judgement.decision
        yield from explain(replace(decision, pod=owners.get(first.pod.uid, decision.pod)), 10)
