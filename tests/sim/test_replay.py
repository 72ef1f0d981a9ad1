"""A workload replayed: nothing is over-committed, everything ends, and the measures say what one can count by hand."""

from collections import Counter
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.framework import load_plugins
from wherry.cli import main
from wherry.sim.chart import chart
from wherry.sim.measures import course, table
from wherry.sim.replay import replay
from wherry.sim.trace import TraceError, read_nodes, read_tasks

HEAD = "name,at,seconds,count,priority,cpu\n"


def plugins():
    return [plugin() for plugin in load_plugins().values()]


def replayed(tmp_path, nodes, trace):
    (tmp_path / "nodes.yaml").write_text(nodes)
    (tmp_path / "trace.csv").write_text(HEAD + trace)
    return replay(read_nodes(tmp_path / "nodes.yaml"), read_tasks(tmp_path / "trace.csv"), plugins())


def stays(history):
    return [(stay.pod.metadata.name, stay.begun_at, stay.ended_at, stay.was_evicted) for stay in history.stays]


ONE_NODE = '[{name: n, allocatable: {cpu: "4"}}]'


def test_a_pod_waits_until_another_is_done(tmp_path):
    history = replayed(tmp_path, ONE_NODE, "first,0,100,1,0,3\nsecond,10,50,1,0,2\n")

    assert stays(history) == [("first-1", 0, 100, False), ("second-1", 100, 150, False)]
    assert (history.waits, history.ended_at) == ([0, 90], 150)


def test_a_victim_begins_anew_when_there_is_room_again(tmp_path):
    history = replayed(tmp_path, ONE_NODE, "low,0,100,1,0,3\nurgent,10,50,1,9,2\n")

    assert stays(history) == [("low-1", 0, 10, True), ("urgent-1", 10, 60, False), ("low-1", 60, 160, False)]


def test_who_never_fits_is_left_over(tmp_path):
    history = replayed(tmp_path, ONE_NODE, "large,0,10,1,0,5\nsmall,5,10,1,0,1\n")

    assert [pod.metadata.name for pod in history.pending] == ["large-1"]
    assert list(table({"spread": history}))[1].split() == ["pods", "placed", "1", "of", "2"]


def test_the_measures_are_those_one_counts_by_hand(tmp_path):
    history = replayed(tmp_path, '[{name: n, count: 2, allocatable: {cpu: "4"}}]', "a,0,100,2,0,3\nb,50,100,1,0,4\n")

    moments = [(each.at, each.waiting, each.empty, each.used["cpu"], each.broken["cpu"]) for each in course(history)]

    assert moments == [(0, 0, 0, 0.75, 1.0), (50, 1, 0, 0.75, 1.0), (100, 0, 1, 0.5, 0.0), (200, 0, 2, 0.0, 0.0)]


def test_a_chart_has_a_line_for_each_policy_in_each_panel(tmp_path):
    moments = course(replayed(tmp_path, ONE_NODE, "a,0,100,2,0,3\n"))

    picture = ElementTree.fromstring(chart({"<spread>": moments, "pack": moments}))

    names = Counter(element.tag.rpartition("}")[2] for element in picture)
    assert names["polyline"] == 4
    assert "<spread>" in [element.text for element in picture]


JOBS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 60), st.integers(1, 3), st.integers(-1, 2), st.integers(1, 4)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(JOBS)
def test_whatever_the_workload_all_of_it_ends_and_no_node_holds_too_much(tmp_path_factory, jobs):
    trace = "".join(f"j,{','.join(map(str, job))}\n" for job in jobs)
    history = replayed(tmp_path_factory.mktemp("replay"), '[{name: n, count: 2, allocatable: {cpu: "4"}}]', trace)

    done = Counter(stay.pod.uid for stay in history.stays if not stay.was_evicted)
    assert (history.pending, set(done.values()), len(done)) == ([], {1}, sum(job[2] for job in jobs))
    for at in {stay.begun_at for stay in history.stays}:
        there = [stay for stay in history.stays if stay.begun_at <= at < stay.ended_at]
        held = Counter()
        for stay in there:
            held[stay.node] += stay.pod.requests["cpu"]
        assert max(held.values(), default=0) <= 4000


@pytest.mark.parametrize(
    ("nodes", "trace", "problem"),
    [
        ("[{name: n, count: 0, allocatable: {}}]", "", "0.count: Input should be greater than or equal to 1 (seen: 0)"),
        ("name,at,seconds\nswapped,0,1\n", "", "expected a YAML list of kinds of nodes"),
        ("[{name: n, allocatable: {cpu: many}}]", "", "n: cpu: 'many': expected a quantity"),
        (ONE_NODE, "a,soon,1,1,0,1\n", ":2: at: 'soon': expected seconds"),
        (ONE_NODE, "a,0,1,1,0,1\na,0,1,0,0,1\n", ":3: count: '0': expected a whole number"),
        (ONE_NODE, "a,0\n", ":2: it has another number of fields than the first line"),
        (ONE_NODE, "", "expected a first line with at least the columns at,seconds"),
    ],
)
def test_mistakes_in_files_are_named(tmp_path, nodes, trace, problem):
    with pytest.raises(TraceError) as raised:
        replayed(tmp_path, nodes, trace)

    assert problem in str(raised.value)


def test_an_unknown_policy_is_named(tmp_path):
    (tmp_path / "nodes.yaml").write_text(ONE_NODE)
    (tmp_path / "trace.csv").write_text(f"{HEAD}a,0,1,1,0,1\n")

    words = ["simulate", "--nodes", f"{tmp_path}/nodes.yaml", "--trace", f"{tmp_path}/trace.csv", "--policy", "best"]

    assert "'best': expected spread, pack, default, mine" in CliRunner().invoke(main, words).output


@pytest.mark.parametrize(
    ("body", "place"),
    [("    x = 1 / 0\n", ":3: Zero"), ("    def score(self, pod, nodes):\n        return nodes.nope\n", ":4: Attr")],
)
def test_a_plugin_that_breaks_is_told_by_its_line(tmp_path, body, place):
    (tmp_path / "nodes.yaml").write_text(ONE_NODE)
    (tmp_path / "trace.csv").write_text(HEAD + "first,0,100,1,0,3\n")
    (tmp_path / "mine.py").write_text(f"from scheduler.framework import Plugin\nclass Mine(Plugin):\n{body}")
    files = ["--nodes", str(tmp_path / "nodes.yaml"), "--trace", str(tmp_path / "trace.csv")]

    shown = CliRunner().invoke(main, ["simulate", *files, "--plugins", str(tmp_path), "--policy", "mine"])

    assert (shown.exit_code, len(shown.output.splitlines())) == (1, 1)
    assert f"Error: {tmp_path}/mine.py{place}" in shown.output


def test_a_folder_for_the_plot_that_is_not_there_is_named_before_anything_is_replayed(tmp_path):
    (tmp_path / "nodes.yaml").write_text(ONE_NODE)
    (tmp_path / "trace.csv").write_text(f"{HEAD}a,0,1,1,0,1\n")

    words = ["simulate", "--nodes", f"{tmp_path}/nodes.yaml", "--trace", f"{tmp_path}/trace.csv"]
    done = CliRunner().invoke(main, [*words, "--plot", f"{tmp_path}/none/plot.svg"])

    assert (done.exit_code, "there is no folder" in done.output, "waiting" in done.output) == (1, True, False)


def test_jobs_that_were_never_placed_are_named_and_the_exit_status_says_so(tmp_path):
    (tmp_path / "nodes.yaml").write_text(ONE_NODE)
    (tmp_path / "trace.csv").write_text(f"{HEAD}small,0,1,1,0,1\nlarge,0,1,2,0,99\n")

    words = ["simulate", "--nodes", f"{tmp_path}/nodes.yaml", "--trace", f"{tmp_path}/trace.csv", "--policy", "spread"]
    done = CliRunner().invoke(main, words)

    assert done.exit_code == 1
    assert "1 of 3" in done.output
    assert done.output.endswith("Error: under spread never placed: large (2 pods)\n")
