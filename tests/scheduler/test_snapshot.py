"""Which pods count where."""

from scheduling import a_node, a_view, gpu_node, snapshot_of


def used(snapshot, resource="cpu"):
    return dict(zip(snapshot.columns.names, snapshot.columns.requested(resource).tolist(), strict=True))


def test_a_pod_counts_from_the_moment_it_is_placed_until_it_is_removed():
    snapshot = snapshot_of(a_node("a"), a_node("b"))
    pod = a_view(requests={"cpu": "1"})

    snapshot.place(pod, "a")
    assert used(snapshot) == {"a": 1000, "b": 0}
    snapshot.remove(pod.uid)
    assert used(snapshot) == {"a": 0, "b": 0}


def test_what_the_watch_reports_replaces_what_was_assumed():
    snapshot = snapshot_of(a_node("a"), a_node("b"))
    pod = a_view("web", requests={"cpu": "1"})
    snapshot.place(pod, "a")

    snapshot.place(a_view("web", requests={"cpu": "1"}), "a")
    assert used(snapshot) == {"a": 1000, "b": 0}
    snapshot.place(a_view("web", requests={"cpu": "2"}), "b")
    assert used(snapshot) == {"a": 0, "b": 2000}


def test_pods_count_on_a_node_that_is_seen_later_or_comes_back():
    snapshot = snapshot_of(placed=[(a_view(requests={"cpu": "1"}), "late")])

    snapshot.set_node(a_node("late"))
    assert used(snapshot) == {"late": 1000}
    snapshot.remove_node("late")
    assert used(snapshot) == {}
    snapshot.set_node(a_node("late"))
    assert used(snapshot) == {"late": 1000}


def test_rows_keep_their_values_when_a_node_before_them_goes():
    pod = a_view(requests={"cpu": "1", "nvidia.com/gpu": "1"})
    snapshot = snapshot_of(a_node("a"), gpu_node("b", 2), a_node("c", labels={"x": "y"}), placed=[(pod, "b")])
    labels = snapshot.columns.label("x").is_in(["y"]).tolist()

    snapshot.remove_node("a")

    assert (labels, snapshot.columns.label("x").is_in(["y"]).tolist()) == ([False, False, True], [False, True])
    assert snapshot.columns.free("nvidia.com/gpu").tolist() == [1, 0]
    assert used(snapshot) == {"b": 1000, "c": 0}


def test_hostile_amounts_do_not_wrap_around():
    placed = [(a_view(f"huge-{index}", requests={"memory": "8Ei"}), "a") for index in range(9)]
    snapshot = snapshot_of(a_node("a"), placed=placed)

    assert snapshot.columns.free("memory")[0] < 0
    for pod, _ in placed:
        snapshot.remove(pod.uid)
    assert snapshot.columns.free("memory").tolist() == [8 * 2**30]
