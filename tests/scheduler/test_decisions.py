"""What users are told."""

from scheduling import a_node, a_view, decide, gpu_node, tainted

from scheduler.explaining.text import explain


def test_the_message_users_know():
    nodes = gpu_node("a", 0), gpu_node("b", 1), tainted("c", "dedicated=team:NoSchedule")
    placed = [(a_view(requests={"nvidia.com/gpu": "1"}), "b")]

    message = decide(a_view(requests={"nvidia.com/gpu": "1"}), *nodes, placed=placed).message

    assert message == ("0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient nvidia.com/gpu.")


def test_a_node_counts_under_its_first_plugin_with_all_of_its_reasons():
    nodes = a_node("a", cpu="1", memory="1Gi"), tainted("b", "x=y:NoExecute", cpu="1", unschedulable=True)
    pod = a_view(requests={"cpu": "2", "memory": "2Gi"})

    decision = decide(pod, *nodes)

    assert decision.message == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 node(s) were unschedulable."
    )
    assert decision.rejected_by == {"NodeResourcesFit", "NodeUnschedulable"}


def test_every_reason_has_kubernetes_words():
    taken = {"containers": [{"name": "x", "ports": [{"containerPort": 1, "hostPort": 1}]}]}
    nodes = [a_node("a", labels={"ok": ""}), a_node("b"), a_node("c", labels={"ok": ""}, allocatable={"pods": "0"})]
    pod = a_view(node_selector={"ok": ""}, spec=taken)

    assert decide(pod, *nodes, placed=[(a_view(spec=taken), "a")]).message == (
        "0/3 nodes are available: 1 Too many pods, "
        "1 node(s) didn't have free ports for the requested pod ports, "
        "1 node(s) didn't match Pod's node affinity/selector."
    )


def test_without_nodes():
    decision = decide(a_view())

    assert (decision.message, decision.rejected_by) == ("no nodes available to schedule pods", frozenset())


def test_the_explanation_of_a_pending_pod_has_the_numbers():
    nodes = gpu_node("b", 4), a_node("a", cpu="1", memory="2Gi"), tainted("c", "x=y:NoSchedule", memory="1536Mi")
    placed = [(a_view(requests={"nvidia.com/gpu": "3"}), "b")]
    pod = a_view("trainer", requests={"nvidia.com/gpu": "2", "cpu": "1500m", "memory": "2Gi"})

    assert "\n".join(explain(decide(pod, *nodes, placed=placed))) == (
        "default/trainer: 0/3 nodes are available: 1 Insufficient cpu, "
        "1 node(s) had untolerated taint(s), 2 Insufficient nvidia.com/gpu.\n"
        "  a: NodeResourcesFit: Insufficient nvidia.com/gpu (wants 2, free 0); "
        "NodeResourcesFit: Insufficient cpu (wants 1500m, free 1)\n"
        "  b: NodeResourcesFit: Insufficient nvidia.com/gpu (wants 2, free 1)\n"
        "  c: TaintToleration: node(s) had untolerated taint(s) {x: y}; "
        "NodeResourcesFit: Insufficient nvidia.com/gpu (wants 2, free 0); "
        "NodeResourcesFit: Insufficient memory (wants 2Gi, free 1536Mi)"
    )


def test_the_explanation_of_a_placed_pod_ranks_the_nodes():
    nodes = a_node("small", cpu="2", memory="4Gi"), a_node("large", cpu="8", memory="16Gi"), a_node("tiny", cpu="500m")
    pod = a_view("web", requests={"cpu": "1", "memory": "2Gi"})

    assert "\n".join(explain(decide(pod, *nodes))) == (
        "default/web: large, then small (37.5 less); 2 of 3 nodes can hold it\n"
        "  large: 462.5 = TaintToleration 100.0 x 3 + NodeResourcesFit 87.5 + NodeResourcesBalancedAllocation 75.0\n"
        "  small: 425.0 = TaintToleration 100.0 x 3 + NodeResourcesFit 50.0 + NodeResourcesBalancedAllocation 75.0\n"
        "  tiny: NodeResourcesFit: Insufficient cpu (wants 1, free 500m)"
    )
