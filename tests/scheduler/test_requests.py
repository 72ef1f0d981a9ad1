"""What a pod asks of its node."""

import pytest
from make import a_container
from scheduling import a_view


def requests(**spec):
    found = dict(a_view(**spec).requests)
    assert found.pop("pods") == 1
    return found


def test_containers_run_together_and_add_up():
    containers = [
        a_container("a", requests={"cpu": "500m", "memory": "1Gi"}),
        a_container("b", requests={"cpu": "0.25"}),
    ]

    assert requests(containers=containers) == {"cpu": 750, "memory": 2**30}


def test_of_the_init_containers_only_the_largest_counts():
    init = [a_container("a", requests={"cpu": "2"}), a_container("b", requests={"cpu": "3", "memory": "1Mi"})]
    containers = [a_container(requests={"cpu": "1", "memory": "2Mi"})]

    assert requests(init_containers=init, containers=containers) == {"cpu": 3000, "memory": 2**21}


def test_a_sidecar_adds_to_what_starts_after_it():
    sidecar = a_container("proxy", requests={"cpu": "1"}, restart_policy="Always")
    before, after = a_container("x", requests={"cpu": "4"}), a_container("y", requests={"cpu": "3500m"})
    containers = [a_container(requests={"cpu": "2"})]

    assert requests(init_containers=[before, sidecar], containers=containers) == {"cpu": 4000}
    assert requests(init_containers=[sidecar, after], containers=containers) == {"cpu": 4500}


def test_requests_of_the_pod_win_and_overhead_comes_on_top():
    container = a_container(requests={"cpu": "1", "nvidia.com/gpu": "1"})
    pod_level = {"requests": {"cpu": "3", "memory": "1Gi"}}

    wanted = requests(containers=[container], resources=pod_level, overhead={"cpu": "250m"})

    assert wanted == {"cpu": 3250, "memory": 2**30, "nvidia.com/gpu": 1}


def test_fractions_are_added_before_they_are_rounded_up():
    containers = [a_container(name, requests={"cpu": "0.0004", "memory": "0.5"}) for name in "abc"]

    assert requests(containers=containers) == {"cpu": 2, "memory": 2}


@pytest.mark.parametrize("size", ["9E", "8Ei", "1e30", "99999999999999999999"])
def test_absurd_amounts_stay_within_64_bits(size):
    assert requests(requests={"memory": size}) == {"memory": 2**61}


def test_scores_assume_a_little_of_a_container_that_asks_for_nothing():
    pod = a_view(containers=[a_container("a"), a_container("b", requests={"cpu": "1"})])

    assert pod.estimates == {"cpu": 1100, "memory": 400 * 2**20}


@pytest.mark.parametrize(
    ("conditions", "counted"),
    [([], 3000), ([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}], 2000)],
)
def test_during_a_resize_the_most_of_what_is_wanted_had_and_allocated_counts(conditions, counted):
    has = {"name": "a", "resources": {"requests": {"cpu": "1"}}, "allocatedResources": {"cpu": "2"}}
    status = {"containerStatuses": [has], "conditions": conditions}

    assert requests(containers=[a_container("a", requests={"cpu": "3"})], status=status) == {"cpu": counted}


def test_what_shrinks_counts_until_it_is_given_back():
    has = {"name": "a", "resources": {"requests": {"cpu": "4"}}, "allocatedResources": {"cpu": "1"}}
    containers = [a_container("a", requests={"cpu": "1"}), a_container("b", requests={"cpu": "1"})]

    assert requests(containers=containers, status={"containerStatuses": [has]}) == {"cpu": 5000}
