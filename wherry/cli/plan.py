"""`wherry plan`"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from scheduler.explaining.forecast import Forecast, Verdict
from scheduler.explaining.manifests import Wanted, brought_by, wanted_by
from scheduler.explaining.text import explain
from wherry.cli.asking import admin_kubeconfig, forecast_of, rules_here, scheduling_rules
from wherry.cli.options import data_dir_option, kubeconfig_option, name_option, says_problems_with, scheduler_options
from wherry.cluster.problem import ClusterProblem

# Beyond what a forecast can say.
CANNOT_TELL = 3
_WORDS = {
    Verdict.FITS: "it fits",
    Verdict.PREEMPTS: "it fits if others make way",
    Verdict.DOES_NOT_FIT: "it does not fit",
}


@click.command()
@click.option("-f", "--filename", required=True, help="A manifest, or - for standard input.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Of objects that name none.")
@scheduler_options
@kubeconfig_option
@name_option
@data_dir_option
@says_problems_with(CANNOT_TELL)
def command(
    filename: str,
    namespace: str,
    config: Path | None,
    plugins: Path | None,
    kubeconfig: Path | None,
    name: str,
    data_dir: Path | None,
) -> None:
    """Tell whether a manifest's pods would get nodes now, and which, without placing anything.

    The exit status is 0 if all fit, 1 if other pods would have to make way for some of them, 2 if some do not fit, and
    3 if that cannot be told.
    It knows pods, what makes pods, and the claims on devices that come with them; other objects in the file are passed
    over. The API server checks and completes
    the pods as if they were created (priority, limits, quotas), and changes nothing.
    """
    documents = list(_documents(filename))
    wanted, brought = _wanted(documents, namespace), _brought(documents, namespace)
    if not wanted:
        raise ClusterProblem(f"{filename}: there is nothing in it that makes pods")
    rules = scheduling_rules(config, plugins) if kubeconfig else rules_here(config, plugins, name, data_dir)
    told = forecast_of(kubeconfig or admin_kubeconfig(name, data_dir), rules, wanted, brought, about=filename)
    click.echo("\n".join(_lines(told)))
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


def _brought(documents: list[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    return [obj for document in documents for obj in brought_by(document, namespace)]


def _wanted(documents: list[dict[str, Any]], namespace: str) -> list[Wanted]:
    try:
        return [each for document in documents for each in wanted_by(document, namespace)]
    except KeyError as error:
        raise ClusterProblem(f"an object of the manifest lacks its field {error}") from error
    except (TypeError, ValueError) as error:
        raise ClusterProblem(f"an object of the manifest cannot be read: {error}") from error


def _lines(told: Forecast) -> Iterator[str]:
    yield _WORDS[told.verdict]
    yield from told.lines()
    first = next((fate for fate in told.fates if not fate.node), None)
    if first is not None:
        yield from explain(first.judgement.decision, 10)
