"""The configuration file and plugins of the user's own."""

import pytest
from click.testing import CliRunner

from scheduler.__main__ import main
from scheduler.config import ConfigError, plugins_of, read_config
from scheduler.cycle.panel import Panel
from scheduler.framework import load_plugins

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"


def configured(tmp_path, text):
    file = tmp_path / "config.yaml"
    file.write_text(HEAD + text)
    return read_config(file)


def only_plugins(tmp_path, text):
    return plugins_of(configured(tmp_path, text).profiles[0], load_plugins())


def test_without_a_word_every_plugin_is_on_in_kubernetes_order(tmp_path):
    assert [(plugin.name, plugin.weight) for plugin in only_plugins(tmp_path, "")] == [
        ("QueueQuota", 1),
        ("NodeUnschedulable", 1),
        ("NodeName", 1),
        ("TaintToleration", 3),
        ("NodeAffinity", 2),
        ("NodePorts", 1),
        ("NodeResourcesFit", 1),
        ("GpuShare", 10),
        ("NodeResourcesBalancedAllocation", 1),
        ("VolumeRestrictions", 1),
        ("NodeVolumeLimits", 1),
        ("VolumeBinding", 1),
        ("VolumeZone", 1),
        ("PodTopologySpread", 2),
        ("InterPodAffinity", 2),
        ("DynamicResources", 1),
        ("ImageLocality", 1),
        ("GpuNodesLast", 20),
        ("GpuPacking", 5),
        ("Consolidation", 1),
        ("DefaultPreemption", 1),
        ("GangScheduling", 1),
    ]


def test_plugins_are_turned_off_weighed_and_set(tmp_path):
    text = """
profiles:
- schedulerName: packing
  plugins:
    multiPoint:
      disabled: [{name: "*"}]
      enabled: [{name: NodeResourcesFit, weight: 7}, {name: NodeName}]
  pluginConfig:
  - name: NodeResourcesFit
    args:
      apiVersion: kubescheduler.config.k8s.io/v1
      kind: NodeResourcesFitArgs
      scoringStrategy: {type: MostAllocated, resources: [{name: nvidia.com/gpu, weight: 3}]}
"""

    name, fit = only_plugins(tmp_path, text)

    assert (name.name, fit.name, fit.weight) == ("NodeName", "NodeResourcesFit", 7)
    strategy = fit.args.scoring_strategy
    assert (strategy.type, strategy.resources[0].name, strategy.resources[0].weight) == (
        "MostAllocated",
        "nvidia.com/gpu",
        3,
    )


def test_what_is_said_at_one_extension_point_wins(tmp_path):
    text = """
profiles:
- plugins:
    multiPoint:
      disabled: [{name: NodeName}, {name: NodePorts}]
    filter:
      enabled: [{name: NodePorts}]
      disabled: [{name: TaintToleration}]
    score:
      disabled: [{name: "*"}]
      enabled: [{name: NodeResourcesFit, weight: 9}]
    postFilter:
      disabled: [{name: DefaultPreemption}]
"""
    plugins = only_plugins(tmp_path, text)
    panel = Panel(plugins)

    filters = [plugin.name for plugin in panel.filters]
    assert [(plugin.name, plugin.weight) for plugin in panel.scorers] == [("NodeResourcesFit", 9)]
    assert filters[:5] == ["QueueQuota", "NodeUnschedulable", "NodeAffinity", "NodePorts", "NodeResourcesFit"]
    assert {"NodeName", "TaintToleration", "DefaultPreemption"} & {plugin.name for plugin in plugins} == set()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("profile: []", "profile: Extra inputs are not permitted"),
        ("profiles: []", "profiles: Tuple should have at least 1 item"),
        ("profiles: [{}, {}]", "a schedulerName stands twice"),
        (
            "profiles: [{plugins: {multiPoint: {enabled: [{name: Nope}]}}}]",
            "no plugin 'Nope'; there are QueueQuota, NodeUnschedulable,",
        ),
        ("profiles: [{pluginConfig: [{name: NodeName, args: {a: 1}}]}]", "pluginConfig NodeName: a: Extra inputs"),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: Best}}}]}]",
            "type: Input should be 'LeastAllocated', 'MostAllocated' or 'RequestedToCapacityRatio' (seen: 'Best')",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: "
            "{scoringStrategy: {type: RequestedToCapacityRatio}}}]}]",
            "requestedToCapacityRatio is to be set with the type of that name",
        ),
        ("profiles: [{plugins: {sort: {}}}]", "profiles.0.plugins.sort: Extra inputs are not permitted"),
        ("profiles: [{plugins: {permit: {enabled: [{name: Nope}]}}}]", "no plugin 'Nope'; there are"),
        (
            "profiles: [{plugins: {bind: {disabled: [{name: DefaultBinder}]}}}]",
            "profile default-scheduler: plugins.bind: DefaultBinder is part of the scheduler and cannot be disabled",
        ),
        (":\n - ][", "not YAML"),
    ],
)
def test_mistakes_are_named(tmp_path, text, problem):
    with pytest.raises(ConfigError) as raised:
        only_plugins(tmp_path, text)

    assert problem in str(raised.value)


def test_every_extension_point_of_kubernetes_may_be_named(tmp_path):
    points = ["preEnqueue", "queueSort", "preFilter", "postFilter", "preScore", "reserve", "permit", "bind", "postBind"]
    lines = "".join(f"    {point}: {{enabled: [{{name: PrioritySort}}, {{name: NodeName}}]}}\n" for point in points)
    plain = only_plugins(tmp_path, "profiles: [{}]")

    assert [p.name for p in only_plugins(tmp_path, f"profiles:\n- plugins:\n{lines}")] == [p.name for p in plain]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("from scheduler.framework import Plugin\nclass NodeName(Plugin):\n    pass\n", "NodeName is declared twice"),
        ("a = 1\nlen(a)\n", "mine.py:2: TypeError: object of type 'int' has no len()"),
        ("def f(:\n", "mine.py:1: SyntaxError"),
        ("import nowhere_to_be_found\n", "mine.py:1: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    ],
)
def test_a_file_that_is_no_plugin_is_told_in_one_line(tmp_path, content, problem):
    (tmp_path / "mine.py").write_text(content)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{}")

    failed = CliRunner().invoke(main, ["--kubeconfig", str(kubeconfig), "--plugins", str(tmp_path)])

    assert (failed.exit_code, failed.output.count("\n")) == (1, 1)
    assert problem in failed.output


def test_a_file_in_a_folder_is_a_plugin(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from scheduler.framework import Plugin, Verdict\n"
        "class OnlyFast(Plugin):\n"
        "    order = 5\n"
        "    def filter(self, pod, nodes):\n"
        "        yield Verdict(nodes.label('fast').is_in(['yes']), 'node(s) were slow')\n"
    )

    assert list(load_plugins(tmp_path))[:2] == ["OnlyFast", "QueueQuota"]
    assert "OnlyFast" not in load_plugins()


def test_help_answers_and_mistakes_are_told_in_one_line(tmp_path):
    broken = tmp_path / "kubeconfig"
    broken.write_text("{}")

    helped = CliRunner().invoke(main, ["--help"])
    failed = CliRunner().invoke(main, ["--kubeconfig", str(broken)])

    assert "Choose a node for every pod that has none." in helped.output
    assert (failed.exit_code, failed.output.count("\n"), str(broken) in failed.output) == (1, 1, True)
