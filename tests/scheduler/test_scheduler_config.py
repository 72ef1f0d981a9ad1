"""The configuration file and plugins of the user's own."""

import pytest
from click.testing import CliRunner
from scheduling import a_node, a_view, snapshot_of

from scheduler.__main__ import main
from scheduler.config import ConfigError, plugins_of, read_config
from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import plan
from scheduler.framework import load_plugins
from wherry.client.leader import Timing

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
        ("profiles: []", "profiles: at least one is needed"),
        ("profiles: [{schedulerName: a}, {schedulerName: a}]", "a schedulerName stands twice"),
        ("profiles: [{schedulerName: a}, {}]", "profiles: of several each needs a schedulerName"),
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
        ("parallelism: 3\nparallelism: 4", "parallelism stands twice"),
        ("healthzBindAddress: 0.0.0.0:10251", "healthzBindAddress: Extra inputs are not permitted"),
        ("extenders: [{urlPrefix: http://a}]", "extenders are not served"),
        ("leaderElection: {leaseDuration: 15}", "leaderElection.leaseDuration: Value error, a Go duration is expected"),
        ("leaderElection: {leaseDuration: 9s}", "leaseDuration must be greater than renewDeadline"),
        ("podMaxBackoffSeconds: 1\npodInitialBackoffSeconds: 2", "podMaxBackoffSeconds must be greater than or equal"),
        ("percentageOfNodesToScore: 101", "percentageOfNodesToScore: Input should be less than or equal to 100"),
        (
            "profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {requiredDuring"
            "SchedulingIgnoredDuringExecution: 1}}}]}]",
            "pluginConfig NodeAffinity: addedAffinity: Value error, Expected `object",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {ignoredResourceGroups: [a/b]}}]}]",
            "ignoredResourceGroups.0: String should match pattern",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {requiredDuring"
            "SchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}}]}]",
            "nodeSelectorTerms: Required value: must have at least one node selector term",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {required: 1}}}]}]",
            'addedAffinity: Value error, unknown field "required"',
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeName}, {name: NodeName}]}]",
            "pluginConfig: NodeName stands twice",
        ),
        (
            "profiles: [{plugins: {score: {enabled: [{name: NodeAffinity}, {name: NodeAffinity}]}}}]",
            "enabled: NodeAffinity stands twice",
        ),
        (
            "profiles: [{pluginConfig: [{name: NodeName, args: {kind: NodeAffinityArgs}}]}]",
            "pluginConfig NodeName: kind: expected NodeNameArgs (seen: 'NodeAffinityArgs')",
        ),
        (
            "profiles: [{pluginConfig: [{name: DefaultPreemption, args: "
            "{minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0}}]}]",
            "minCandidateNodesPercentage cannot be zero at the same time as minCandidateNodesAbsolute",
        ),
        (
            "profiles: [{pluginConfig: [{name: DynamicResources, args: {bindingTimeout: 0s}}]}]",
            "bindingTimeout: Input should be greater than or equal to 1",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, text, problem):
    with pytest.raises(ConfigError) as raised:
        only_plugins(tmp_path, text)

    assert problem in str(raised.value)


def test_a_file_that_was_written_for_kube_scheduler_is_read_whole(tmp_path):
    text = """
parallelism: 8
enableProfiling: true
enableContentionProfiling: false
delayCacheUntilActive: true
percentageOfNodesToScore: 50
podInitialBackoffSeconds: 3
podMaxBackoffSeconds: 20
clientConnection: {kubeconfig: /etc/kubernetes/scheduler.conf, qps: 50, burst: 100, contentType: "application/json"}
leaderElection: {leaderElect: true, leaseDuration: 30s, renewDeadline: 20s, retryPeriod: 1.5s, resourceLock: leases,
  resourceName: mine, resourceNamespace: team}
extenders: []
profiles:
- percentageOfNodesToScore: 70
  plugins: {score: {enabled: [{name: ImageLocality, weight: 0}, {name: NodeAffinity, weight: 1000}]}}
  pluginConfig:
  - {name: VolumeBinding, args: {bindTimeoutSeconds: 30}}
  - {name: DynamicResources, args: {filterTimeout: 10s}}
"""
    config, plugins = configured(tmp_path, text), {plugin.name: plugin for plugin in only_plugins(tmp_path, text)}

    election = config.leader_election
    assert (election.timing, election.resource_name) == (Timing(30, 20.0, 1.5), "mine")
    assert (config.pod_initial_backoff_seconds, config.pod_max_backoff_seconds) == (3, 20)
    assert config.client_connection.kubeconfig == "/etc/kubernetes/scheduler.conf"
    assert (plugins["ImageLocality"].weight, plugins["NodeAffinity"].weight) == (1, 1000)
    assert plugins["VolumeBinding"].args.bind_timeout_seconds == 30


def test_what_kubernetes_fills_in_or_passes_over_is_no_mistake(tmp_path):
    text = """
leaderElection: {leaderElect: false, leaseDuration: 0s, resourceName: "", resourceNamespace: ""}
profiles:
- plugins: {multiPoint: {disabled: [{name: NodeDeclaredFeatures}]}}
  pluginConfig:
  - {name: DefaultPreemption, args: {minCandidateNodesAbsolute: 0}}
  - {name: InterPodAffinity, args: null}
"""
    election = configured(tmp_path, text).leader_election

    assert (election.resource_name, election.resource_namespace) == ("kube-scheduler", "kube-system")
    assert len(only_plugins(tmp_path, text)) == len(only_plugins(tmp_path, ""))


def test_a_profile_asks_for_more_than_its_pods_and_for_less(tmp_path):
    text = """
profiles:
- pluginConfig:
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{matchExpressions: [{key: team, operator: In, values: [x]}]}]
  - name: NodeResourcesFit
    args: {ignoredResources: [example.com/a], ignoredResourceGroups: [far.io]}
"""
    nodes = snapshot_of(a_node("ours", labels={"team": "x"}), a_node("theirs")).columns
    wants = dict.fromkeys(("example.com/a", "far.io/b"), "1")

    decision = plan(a_view("p", requests=wants), nodes, only_plugins(tmp_path, text))

    assert decision.winner == "ours"
    (refusal,) = decision.refusals
    assert refusal.reason == "node(s) didn't match scheduler-enforced node affinity"


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
