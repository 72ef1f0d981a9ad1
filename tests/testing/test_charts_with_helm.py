"""A real Helm installs, tests, upgrades, rolls back and removes a chart, on nodes that only pretend."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import wherry.testing

Helm = Callable[..., str]

FILES = {
    "Chart.yaml": "{apiVersion: v2, name: shop, version: 0.1.0}",
    "values.yaml": "{replicas: 1, migration: succeeds}",
    "crds/crates.yaml": """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crates.shop.example}
spec:
  {group: shop.example, scope: Namespaced, names: {kind: Crate, plural: crates, singular: crate},
   versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {
     type: object, properties: {spec: {type: object, properties: {apples: {type: integer}}}}}}}]}
""",
    "templates/crate.yaml": "{apiVersion: shop.example/v1, kind: Crate, metadata: {name: first}, spec: {apples: 3}}",
    "templates/web.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, labels: {seen: '{{ (lookup "v1" "Namespace" "" "default").metadata.name }}'}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web:1}]}
""",
    "templates/migrate.yaml": """
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {sim.wherry.dev/fate: {{ .Values.migration }}}}
    spec: {restartPolicy: Never, containers: [{name: migrate, image: migrate:1}]}
""",
    "templates/probe.yaml": """
apiVersion: v1
kind: Pod
metadata: {name: probe, annotations: {helm.sh/hook: test, sim.wherry.dev/fate: succeeds}}
spec: {restartPolicy: Never, containers: [{name: probe, image: probe:1}]}
""",
}


@pytest.fixture
def chart(tmp_path: Path) -> str:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return str(tmp_path)


@pytest.fixture(scope="module")
def helm() -> Iterator[Helm]:
    """Helm with a cluster of its own; gives what it prints, errors too."""
    path = shutil.which("helm", path=str(Path(sys.executable).parent)) or shutil.which("helm")
    if path is None:
        pytest.skip("there is no Helm for this machine on PyPI")
    with wherry.testing.cluster(nodes=2) as cluster:

        def run(*words: str) -> str:
            command = (path, "--kubeconfig", cluster.kubeconfig, *words)
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            return done.stdout + done.stderr

        yield run


def history(helm: Helm) -> list[tuple[str, str]]:
    return [(each["status"], each["description"]) for each in json.loads(helm("history", "one", "-o", "json"))]


def test_a_chart_lives_from_install_to_uninstall(helm: Helm, chart: str) -> None:
    assert "STATUS: deployed" in helm("install", "one", chart, "--wait", "--wait-for-jobs", "--timeout", "60s")
    assert "Phase:          Succeeded" in helm("test", "one", "--timeout", "60s")
    helm("upgrade", "one", chart, "--set", "replicas=3", "--wait", "--timeout", "60s")
    helm("upgrade", "one", chart, "--set", "migration=fails", "--atomic", "--timeout", "60s")
    helm("rollback", "one", "1", "--wait", "--timeout", "60s")

    assert [status for status, _ in history(helm)] == ["superseded", "superseded", "failed", "superseded", "deployed"]
    assert [words for _, words in history(helm)][-2:] == ["Rollback to 2", "Rollback to 1"]
    assert "seen: 'default'" in helm("get", "manifest", "one")
    assert helm("uninstall", "one", "--wait") == 'release "one" uninstalled\n'
    assert json.loads(helm("list", "-a", "-o", "json")) == []


def test_what_the_server_refuses_is_told_in_its_words(helm: Helm, chart: str) -> None:
    elsewhere = ("-n", "elsewhere", "--create-namespace", "--wait")
    (Path(chart) / "templates" / "bad.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: -a-}}")

    assert 'ConfigMap "-a-" is invalid: metadata.name: Invalid value: "-a-"' in helm(
        "install", "two", chart, *elsewhere
    )
    helm("uninstall", "two", "-n", "elsewhere")
    assert json.loads(helm("list", "-a", "-n", "elsewhere", "-o", "json")) == []
