"""The configuration file, in the shape of the part of Kubernetes' KubeSchedulerConfiguration that has a meaning here.

    apiVersion: kubescheduler.config.k8s.io/v1
    kind: KubeSchedulerConfiguration
    profiles:
    - schedulerName: default-scheduler
      plugins:
        multiPoint:
          disabled: [{name: NodeResourcesBalancedAllocation}]
          enabled: [{name: TaintToleration, weight: 5}]
      pluginConfig:
      - name: NodeResourcesFit
        args:
          scoringStrategy:
            type: MostAllocated
            resources: [{name: nvidia.com/gpu, weight: 5}, {name: cpu, weight: 1}]

Every known plugin is on unless a profile disables it (`*` disables all that are not enabled by name).

Differs: plugins are enabled as a whole, under `multiPoint`; a disabled score alone is a weight of 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from scheduler.framework import Plugin

DEFAULT_SCHEDULER = "default-scheduler"
ALL = "*"


class ConfigError(ValueError):
    """The configuration cannot be used; says which field, and what is allowed."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class PluginName(_Part):
    """A plugin that is turned on or off; the weight is that of its score."""

    name: str
    weight: int | None = Field(default=None, ge=0, le=100)


class PluginSet(_Part):
    """Differences from the default set."""

    enabled: tuple[PluginName, ...] = ()
    disabled: tuple[PluginName, ...] = ()


class Plugins(_Part):
    """Where Kubernetes lists plugins by extension point, we have the one list for all points."""

    multi_point: PluginSet = PluginSet()


class PluginConfig(_Part):
    """Settings of one plugin."""

    name: str
    args: dict[str, Any] = {}


class ProfileConfig(_Part):
    """One scheduler name, and how its pods are scheduled."""

    scheduler_name: str = DEFAULT_SCHEDULER
    plugins: Plugins = Plugins()
    plugin_config: tuple[PluginConfig, ...] = ()


class LeaderElection(_Part):
    """Whether several schedulers may run of which one works."""

    leader_elect: bool = True


class SchedulerConfig(_Part):
    """The whole file."""

    api_version: Literal["kubescheduler.config.k8s.io/v1"] = "kubescheduler.config.k8s.io/v1"
    kind: Literal["KubeSchedulerConfiguration"] = "KubeSchedulerConfiguration"
    leader_election: LeaderElection = LeaderElection()
    profiles: tuple[ProfileConfig, ...] = Field(default=(ProfileConfig(),), min_length=1)


def read_config(path: Path) -> SchedulerConfig:
    """The file, checked but for plugins' own settings; raises `ConfigError`."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    try:
        config = SchedulerConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_problems(error)}") from error
    names = [profile.scheduler_name for profile in config.profiles]
    if len(set(names)) < len(names):
        raise ConfigError(f"{path}: profiles: a schedulerName stands twice (seen: {', '.join(names)})")
    return config


def plugins_of(profile: ProfileConfig, known: Mapping[str, type[Plugin]]) -> list[Plugin]:
    """The profile's plugins with their settings and weights, in the order of `known`; raises `ConfigError`."""
    chosen = profile.plugins.multi_point
    enabled = {entry.name: entry.weight for entry in chosen.enabled}
    disabled = {entry.name for entry in chosen.disabled}
    args = {entry.name: entry.args for entry in profile.plugin_config}
    for name in (*enabled, *(disabled - {ALL}), *args):
        if name not in known:
            raise ConfigError(f"profile {profile.scheduler_name}: no plugin {name!r}; there are {', '.join(known)}")
    left_out = (set(known) if ALL in disabled else disabled) - enabled.keys()
    return [
        _plugin(plugin, args.get(name, {}), enabled.get(name)) for name, plugin in known.items() if name not in left_out
    ]


def _plugin(plugin: type[Plugin], args: Mapping[str, Any], weight: int | None) -> Plugin:
    # Kubernetes' files name the type of the settings again, which says nothing new.
    own = {key: value for key, value in args.items() if key not in ("apiVersion", "kind")}
    try:
        made = plugin(plugin.Args.model_validate(own))
    except ValidationError as error:
        raise ConfigError(f"pluginConfig {plugin.name}: {_problems(error)}") from error
    if weight is not None:
        made.weight = weight
    return made


def _problems(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']} (seen: {each['input']!r})" for each in problems
    )
