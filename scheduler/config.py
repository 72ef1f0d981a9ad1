"""The configuration file, and the plugins that it stands for.

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

Every known plugin is on unless a profile disables it (`*` disables all that are not enabled by name). What is said at
one extension point (`preEnqueue`, `filter`, `score`, `postFilter`) wins over what is said for all of them. Plugins of
Kubernetes that are part of the scheduler itself here (`PrioritySort`, `DefaultBinder`, `SchedulingGates`) may be named,
and so may `NodeDeclaredFeatures`, which has nothing to do here.

Differs: the other extension points have no plugins of their own. What is said there is checked and changes nothing:
`preFilter` and `preScore` belong to `filter` and `score`, and queue and bindings cannot be given to anybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from scheduler.framework import Plugin, load_plugins
from scheduler.settings import Plugins, PluginSet, ProfileConfig, SchedulerConfig
from wherry.machinery.schema import duplicate_fields

ALL = "*"
# Extension points of our plugins, and how the file calls them.
POINTS = {
    "filter": "filter",
    "score": "score",
    "evicts": "post_filter",
    "gathers": "pre_enqueue",
    "moves": "post_filter",
}
# Plugins of Kubernetes that are no plugins here, and always on.
ALWAYS_ON = frozenset(("PrioritySort", "DefaultBinder", "SchedulingGates"))
# Plugins of Kubernetes that have nothing to say here: the API takes no pod that needs a feature which nodes declare.
IDLE = frozenset(("NodeDeclaredFeatures",))


class ConfigError(ValueError):
    """The configuration cannot be used; says which field, and what is allowed."""


def read_config(path: Path) -> SchedulerConfig:
    """The file, checked but for plugins' own settings; raises `ConfigError`."""
    try:
        text = path.read_text()
        content = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if twice := duplicate_fields(text.encode(), 0, is_yaml=True):
        raise ConfigError(f"{path}: {twice[0]} stands twice")
    try:
        config = SchedulerConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {problems_of(error)}") from error
    names = [profile.scheduler_name for profile in config.profiles]
    if len(set(names)) < len(names):
        raise ConfigError(f"{path}: profiles: a schedulerName stands twice (seen: {', '.join(names)})")
    return config


def rules_of(config: Path | None, plugins: Path | None) -> dict[str, list[Plugin]]:
    """The plugins by scheduler name of a configuration file and a folder; raises ConfigError and PluginFileError."""
    settings = read_config(config) if config else SchedulerConfig()
    known = load_plugins(plugins)
    return {profile.scheduler_name: plugins_of(profile, known) for profile in settings.profiles}


def plugins_of(profile: ProfileConfig, known: Mapping[str, type[Plugin]]) -> list[Plugin]:
    """The profile's plugins with their settings and weights, in the order of `known`; raises `ConfigError`."""
    args = {entry.name: entry.args or {} for entry in profile.plugin_config}
    try:
        _check(profile.plugins, known)
    except ConfigError as error:
        raise ConfigError(f"profile {profile.scheduler_name}: {error}") from None
    for name in args:
        if name not in known and name not in ALWAYS_ON | IDLE:
            raise ConfigError(f"profile {profile.scheduler_name}: no plugin {name!r}; there are {', '.join(known)}")
    made = (_plugin(plugin, args.get(name, {}), profile.plugins) for name, plugin in known.items())
    return [plugin for plugin in made if not plugin.switched_off.issuperset(plugin.points())]


def _check(plugins: Plugins, known: Mapping[str, object]) -> None:
    """Raise ConfigError for a plugin that nobody knows, or that cannot be turned off."""
    for point in type(plugins).model_fields:
        said: PluginSet = getattr(plugins, point)
        for entry in (*said.enabled, *said.disabled):
            if entry.name not in known and entry.name not in (ALL, *ALWAYS_ON, *IDLE):
                raise ConfigError(f"no plugin {entry.name!r}; there are {', '.join(known)}")
        if always := [entry.name for entry in said.disabled if entry.name in ALWAYS_ON]:
            raise ConfigError(f"plugins.{to_camel(point)}: {always[0]} is part of the scheduler and cannot be disabled")


def _plugin(plugin: type[Plugin], args: Mapping[str, Any], plugins: Plugins) -> Plugin:
    # Kubernetes' files name the type of the settings again, which says nothing new.
    if args.get("kind", f"{plugin.name}Args") != f"{plugin.name}Args":
        raise ConfigError(f"pluginConfig {plugin.name}: kind: expected {plugin.name}Args (seen: {args['kind']!r})")
    own = {key: value for key, value in args.items() if key not in ("apiVersion", "kind")}
    try:
        made = plugin(plugin.Args.model_validate(own))
    except ValidationError as error:
        raise ConfigError(f"pluginConfig {plugin.name}: {problems_of(error)}") from error
    made.switched_off = frozenset(point for point in plugin.points() if not _is_on(plugin.name, point, plugins))
    for at in (plugins.multi_point, plugins.score):
        for entry in at.enabled:
            if entry.name == plugin.name and entry.weight:
                made.weight = entry.weight
    return made


def _is_on(name: str, point: str, plugins: Plugins) -> bool:
    is_on = True
    for at in (plugins.multi_point, getattr(plugins, POINTS[point])):
        if any(entry.name in (name, ALL) for entry in at.disabled):
            is_on = False
        if any(entry.name == name for entry in at.enabled):
            is_on = True
    return is_on


def problems_of(error: ValidationError) -> str:
    """What a model says of a file's content: where, what it says, what was seen."""
    problems = error.errors(include_url=False)
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']} (seen: {each['input']!r})" for each in problems
    )
