"""Where a cluster keeps its files, and how it is called.

DATA/cluster.json       what `up` decided (see settings.py)
DATA/pki/               the cluster's own authority and what it signed
DATA/kubeconfig/        one file per component, and admin.conf
DATA/store/             the objects (SQLite, or a local etcd)
DATA/nodes/NAME/        a kubelet's files, volumes of pods among them
DATA/logs/              one file per process
DATA/run/               who runs now; exists only while the cluster does
DATA/encryption.yaml    what is encrypted in the store, and with which keys; yours to make
DATA/audit-policy.yaml  which requests are written into logs/audit.log; yours to make
DATA/tracing.yaml       where OpenTelemetry listens, and which requests it is told; yours to make
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from wherry.cluster.problem import ClusterProblem

DEFAULT_NAME = "wherry"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one cluster."""

    name: str
    data_dir: Path

    @property
    def title(self) -> str:
        """The name among things of others: context, Docker network."""
        return self.name if self.name == DEFAULT_NAME else f"wherry-{self.name}"

    @property
    def settings_file(self) -> Path:
        return self.data_dir / "cluster.json"

    @property
    def pki(self) -> Path:
        return self.data_dir / "pki"

    @property
    def ca_file(self) -> Path:
        return self.pki / "ca.crt"

    @property
    def store(self) -> Path:
        return self.data_dir / "store"

    @property
    def nodes(self) -> Path:
        return self.data_dir / "nodes"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def encryption_file(self) -> Path:
        """Which resources are encrypted at rest, and with which keys; where there is none, none are."""
        return self.data_dir / "encryption.yaml"

    @property
    def audit_policy_file(self) -> Path:
        """Which requests are written into the audit log; where there is none, none are."""
        return self.data_dir / "audit-policy.yaml"

    @property
    def authentication_file(self) -> Path:
        """Whose ID tokens are believed besides what the cluster gives out itself; where there is none, nobody's."""
        return self.data_dir / "authentication.yaml"

    @property
    def tracing_file(self) -> Path:
        """Where OpenTelemetry listens; where there is none, nowhere."""
        return self.data_dir / "tracing.yaml"

    @property
    def scheduler_file(self) -> Path:
        """The scheduler's profiles; where there is none, it has the default one."""
        return self.data_dir / "scheduler.yaml"

    @property
    def scheduler_plugins(self) -> Path:
        """A folder of scheduler plugins of the person's own."""
        return self.data_dir / "scheduler-plugins"

    @property
    def run(self) -> Path:
        return self.data_dir / "run"

    @property
    def supervisor_file(self) -> Path:
        """Which process supervises."""
        return self.run / "supervisor.json"

    @property
    def processes_file(self) -> Path:
        """Which processes it supervises."""
        return self.run / "processes.json"

    def kubeconfig(self, component: str) -> Path:
        """The file by which a component reaches the API server; `admin` is for people."""
        return self.data_dir / "kubeconfig" / f"{component}.conf"

    def certificate(self, name: str) -> Path:
        """A certificate of this cluster."""
        return self.pki / f"{name}.crt"

    def key(self, name: str) -> Path:
        """The private key of a certificate."""
        return self.pki / f"{name}.key"

    def log(self, process: str) -> Path:
        """What a process said."""
        return self.logs / f"{process}.log"

    @property
    def folders(self) -> tuple[Path, ...]:
        """What a cluster makes in its folder, the settings apart."""
        return self.pki, self.kubeconfig("").parent, self.store, self.nodes, self.logs, self.run

    def make(self) -> None:
        """Create the folders, closed to all but their owner."""
        for folder in (self.data_dir, *self.folders):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise ClusterProblem(f"--data-dir {self.data_dir}: cannot create {folder}: {error.strerror}") from error


def layout_of(name: str = DEFAULT_NAME, data_dir: Path | None = None) -> Layout:
    """The cluster of that name, where it is by default unless told otherwise."""
    if not _NAME.fullmatch(name):
        raise ClusterProblem(
            f"--name {name!r}: at most 32 lower case letters, digits and '-', with a letter or digit at both ends"
        )
    return Layout(name, data_dir.expanduser().absolute() if data_dir else clusters_dir() / name)


def clusters_dir() -> Path:
    """Where clusters of this user are by default."""
    if os.geteuid() == 0:
        return Path("/var/lib/wherry")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "wherry"


def options_of(layout: Layout) -> str:
    """The options that name the cluster in a command, as far as they are needed, each after a space."""
    name = "" if layout.name == DEFAULT_NAME else f" --name {layout.name}"
    return name + ("" if layout.data_dir == layout_of(layout.name).data_dir else f" --data-dir {layout.data_dir}")
