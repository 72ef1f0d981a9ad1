"""What holds where a namespace says nothing, and who is exempt: Kubernetes' PodSecurityConfiguration, as a file.

apiVersion: pod-security.admission.config.k8s.io/v1
kind: PodSecurityConfiguration
defaults:
  enforce: baseline
  enforce-version: v1.37
  warn: restricted
exemptions:
  usernames: [system:serviceaccount:kube-system:daemon-set-controller]
  namespaces: [kube-system]
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import yaml

from apiserver.admission.pod_security.policy import LATEST, MODES, Demand, Policy, minor_of

Level = Literal["privileged", "baseline", "restricted"]


class ConfigurationError(ValueError):
    """The file cannot be used; says which field, and what is allowed."""


class Defaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The policy of namespaces without labels."""

    enforce: Level = "privileged"
    enforce_version: str = LATEST
    audit: Level = "privileged"
    audit_version: str = LATEST
    warn: Level = "privileged"
    warn_version: str = LATEST

    def __post_init__(self) -> None:
        for mode in MODES:
            version: str = getattr(self, f"{mode}_version")
            if version != LATEST and minor_of(version) is None:
                raise ValueError(f'{mode}-version must be "latest" or "v1.x", got {version!r}')

    @property
    def policy(self) -> Policy:
        """The same as a policy."""
        return Policy(*(Demand(getattr(self, mode), minor_of(getattr(self, f"{mode}_version"))) for mode in MODES))


class Exemptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Whose pods, and which ones, are not judged."""

    usernames: tuple[str, ...] = ()
    runtime_classes: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()


class PodSecurityConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The whole file."""

    api_version: Literal["pod-security.admission.config.k8s.io/v1"] = "pod-security.admission.config.k8s.io/v1"
    kind: Literal["PodSecurityConfiguration"] = "PodSecurityConfiguration"
    defaults: Defaults = Defaults()
    exemptions: Exemptions = Exemptions()


def read_configuration(path: Path) -> PodSecurityConfiguration:
    """The configuration in a file; raises ConfigurationError."""
    try:
        return msgspec.convert(yaml.safe_load(path.read_text()) or {}, PodSecurityConfiguration)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
