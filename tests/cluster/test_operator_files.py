"""What an operator put into the data folder is checked before anything starts, and told of when it comes too late."""

import os
from base64 import b64encode
from pathlib import Path

import pytest
from click.testing import CliRunner

from scheduler.framework import load_plugins
from wherry.cli import main
from wherry.cluster.layout import Layout
from wherry.cluster.operator_files import check_files, say_what_is_newer
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import Settings
from wherry.cluster.supervision.processes import processes_of

POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
KEYS = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: "
PROFILES = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
NO_PLUGIN = f"profile default-scheduler: no plugin 'Nope'; there are {', '.join(load_plugins())}"
TRACING = "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n"
RATE = "samplingRatePerMillion: Input should be less than or equal to 1000000"
KEY = b64encode(bytes(32)).decode()


def a_layout(folder: Path, file: str, content: str) -> Layout:
    layout = Layout("wherry", folder)
    layout.make()
    (folder / file).write_text(content)
    (folder / file).chmod(0o600)
    return layout


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("audit-policy.yaml", POLICY, "rules: it is missing"),
        ("audit-policy.yaml", "rules: [", "line 1: it is not YAML"),
        (
            "audit-policy.yaml",
            POLICY + "rules: [{level: All}]",
            "rules[0].level: 'All': expected 'None', 'Metadata', 'Request' or 'RequestResponse'",
        ),
        (
            "audit-policy.yaml",
            POLICY + "rules: [{level: None, resources: [{grup: apps}]}]",
            "rules[0].resources[0].grup: there is no such field; expected one of group, resources, resourceNames",
        ),
        ("audit-policy.yaml", POLICY + "rules: {level: None}", "rules: seen a mapping, expected a list"),
        ("encryption.yaml", KEYS + "[]", "resources: it has 0 items, at least 1 are expected"),
        (
            "encryption.yaml",
            f"{KEYS}[{{resources: [secrets], providers: [{{aesgcm: {{keys: [{{name: k, secret: {KEY}A}}]}}}}]}}]",
            "resources[0].providers[0].aesgcm.keys[0].secret: must be base64",
        ),
        ("scheduler.yaml", PROFILES + "profiles: [{plugins: {score: {enabled: [{name: Nope}]}}}]", NO_PLUGIN),
        ("authentication.yaml", "jwt: [", "line 1: it is not YAML"),
        ("tracing.yaml", TRACING + "samplingRatePerMillion: 2000000", RATE),
        ("tracing.yaml", TRACING + "endpoint: https://a:1", "endpoint: String should match pattern '^[^/\\s]+:\\d+$'"),
    ],
)
def test_up_names_the_field_and_starts_nothing(tmp_path: Path, file: str, content: str, said: str) -> None:
    layout = a_layout(tmp_path, file, content)

    result = CliRunner().invoke(main, ["up", "--no-node", "--data-dir", str(tmp_path)])

    what = {"audit-policy.yaml": "audit policy"}.get(file, file.removesuffix(".yaml"))
    assert result.output == f"Error: {what} {tmp_path / file}: {said}\n"
    assert (result.exit_code, layout.supervisor_file.exists(), KEY in result.output) == (1, False, False)


def test_a_file_that_is_no_text_is_named_too(tmp_path: Path) -> None:
    layout = a_layout(tmp_path, "audit-policy.yaml", "")
    layout.audit_policy_file.write_bytes(b"\xff\xfe")

    with pytest.raises(ClusterProblem, match=r"audit-policy.yaml: it is not text in UTF-8$"):
        check_files(layout)


def test_the_scheduler_gets_the_profiles_and_plugins_of_the_folder(tmp_path: Path) -> None:
    layout = a_layout(tmp_path, "scheduler.yaml", PROFILES)
    layout.scheduler_plugins.mkdir()

    check_files(layout)
    [scheduler] = [each for each in processes_of(layout, Settings(port=6443)) if each.name == "scheduler"]

    own = ("--config", str(layout.scheduler_file), "--plugins", str(layout.scheduler_plugins))
    assert scheduler.options[-4:] == own


def test_files_that_are_right_are_taken(tmp_path: Path) -> None:
    check_files(a_layout(tmp_path, "audit-policy.yaml", POLICY + "rules: [{level: Metadata}]"))


def test_a_file_that_came_after_the_start_is_told_of(tmp_path: Path) -> None:
    layout = a_layout(tmp_path, "audit-policy.yaml", POLICY)
    layout.supervisor_file.write_text("")
    said: list[str] = []

    for moment in (1, 2**31):
        os.utime(layout.audit_policy_file, (moment, moment))
        say_what_is_newer(layout, said.append)

    what = f"{layout.audit_policy_file} is newer than the running cluster"
    options = f"--data-dir {layout.data_dir}"
    assert said == [f"{what}: it counts after `wherry down {options}` and `wherry up {options}`"]


def test_code_that_came_after_the_start_is_told_of(tmp_path: Path) -> None:
    layout = a_layout(tmp_path, "audit-policy.yaml", POLICY)
    layout.audit_policy_file.unlink()
    layout.supervisor_file.write_text("")
    said: list[str] = []

    for moment in (2**31, 1):
        os.utime(layout.supervisor_file, (moment, moment))
        say_what_is_newer(layout, said.append)

    options = f"--data-dir {layout.data_dir}"
    old = "Wherry has changed since the cluster started, which still runs the old code"
    assert said == [f"{old}: `wherry down {options}` and `wherry up {options}` take the new"]
