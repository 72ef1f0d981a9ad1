"""Run Kubernetes' own conformance tests against a cluster of two nodes, and say which held.

    .venv/bin/python scripts/conformance/run.py FOLDER [REGEX]

FOLDER is where `build.sh` has built the suite; REGEX chooses tests by their names. The cluster is made for the run and
taken away after it; the suite's whole output stays in FOLDER/report.log. Ends with 0 if every test held.

The suite is that of Kubernetes 1.20. Since then some things have changed for everybody; the tests of those are left out
and named in `docs/conformance.md`. It also waits for every service account to name a Secret with a token, as accounts
did until 1.24: somebody has to write such a name for it, and here that is a thread.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import kubernetes
import yaml

# What Kubernetes does otherwise since 1.20, each a part of a test's name.
CHANGED = (
    "ServiceAccounts should mount an API token into pods",  # accounts have no Secrets with tokens any more
    "should allow opting out of API token automount",
    "Kubectl version should check is all data is printed",  # kubectl prints other words
    "should check if kubectl describe prints relevant information for rc and pods",
    # A remembered template is compared byte by byte with one that has a creationTimestamp of null.
    "should update pod when spec was updated and update strategy is RollingUpdate",
    "works for CRD with validation schema",  # the server refuses unknown fields, in words of its own
)
_NAME = "conformance"


class Verdict(NamedTuple):
    """What the suite said of one test."""

    test: str
    held: bool


def wanted_tests(folder: Path, pattern: str) -> list[str]:
    """The names of the conformance tests to run."""
    listed = yaml.safe_load((_tree(folder) / "test/conformance/testdata/conformance.yaml").read_text())
    names = [" ".join(each["codename"].split()) for each in listed]
    return [name for name in names if re.search(pattern, name) and not any(part in name for part in CHANGED)]


def verdicts_in(line: str) -> Verdict | None:
    """What a line of the suite's output says, if it is one that says it.

    >>> verdicts_in('{"msg":"PASSED [sig-apps] Job should  run","total":3}')
    Verdict(test='[sig-apps] Job should run', held=True)
    """
    found = re.search(r'\{"msg":"(?:PASSED|FAILED) .*\}', line)
    if found is None:
        return None
    result, _, test = json.loads(found[0])["msg"].partition(" ")
    return Verdict(" ".join(test.split()), result == "PASSED")


def name_tokens(kubeconfig: Path) -> None:
    """Let every new service account name a Secret, for as long as the program runs."""
    core = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(str(kubeconfig)))
    while True:
        try:
            for event in kubernetes.watch.Watch().stream(core.list_service_account_for_all_namespaces):
                account: Any = event["object"]
                if event["type"] == "ADDED" and not account.secrets:
                    place = (account.metadata.name, account.metadata.namespace)
                    core.patch_namespaced_service_account(*place, {"secrets": [{"name": "token"}]})
        except kubernetes.client.ApiException as problem:
            print(f"service accounts: {problem.reason}", file=sys.stderr)


def run(folder: Path, kubeconfig: Path, tests: list[str]) -> list[Verdict]:
    """The verdicts on all tests that were run; each is printed as it comes."""
    # Several spaces stand in some names where the list has one.
    focus = "|".join(re.escape(test).replace(r"\ ", " +") for test in tests)
    kubectl = Path(sys.executable).with_name("kubectl")
    command = [folder / "e2e.test", f"-kubeconfig={kubeconfig}", "-provider=skeleton", f"-ginkgo.focus={focus}"]
    command += [f"-repo-root={_tree(folder)}", f"-kubectl-path={kubectl}", "-num-nodes=2", "-ginkgo.noColor"]
    command += ["-dump-logs-on-failure=false"]
    verdicts = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    with process, (folder / "report.log").open("w") as report:
        for line in process.stdout or ():
            report.write(line)
            if (verdict := verdicts_in(line)) is not None:
                verdicts.append(verdict)
                word = "held" if verdict.held else "FAILED"
                print(f"{len(verdicts)}/{len(tests)} {word}: {verdict.test}", flush=True)
    return verdicts


def _tree(folder: Path) -> Path:
    return folder / "go/src/k8s.io/kubernetes"


def main(folder: Path, pattern: str) -> int:
    """Make the cluster, run, take the cluster away; how many tests did not hold."""
    tests = wanted_tests(folder, pattern)
    kubeconfig, data = folder / "kubeconfig", folder / "cluster"
    wherry = Path(sys.executable).with_name("wherry")
    place = ["--name", _NAME, "--data-dir", str(data)]
    subprocess.run([wherry, "up", *place, "--nodes", "2", "--kubeconfig", kubeconfig], check=True)
    try:
        threading.Thread(target=name_tokens, args=[kubeconfig], daemon=True).start()
        verdicts = run(folder, kubeconfig, tests)
    finally:
        subprocess.run(
            [wherry, "down", *place, "--purge"], check=True, env={**os.environ, "KUBECONFIG": str(kubeconfig)}
        )
    failed = [verdict.test for verdict in verdicts if not verdict.held]
    print(f"{len(verdicts) - len(failed)} of {len(tests)} held; the whole story is in {folder / 'report.log'}")
    return len(failed) + len(tests) - len(verdicts)


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]).absolute(), sys.argv[2] if len(sys.argv) > 2 else ".")))
