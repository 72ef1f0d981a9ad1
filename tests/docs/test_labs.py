"""What the labs tell people to write works."""

from make import a_node, a_pod
from pages import ROOT, fences

from scheduler.framework import load_plugins
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot


def test_the_plugin_of_the_lab_keeps_pods_off_odd_nodes(tmp_path):
    (block,) = fences((ROOT / "docs/labs/README.md").read_text(), "python")
    (tmp_path / "even_names.py").write_text(block)
    snapshot = Snapshot()
    for number in range(1, 6):
        snapshot.set_node(a_node(f"fake-{number}"))

    (verdict,) = load_plugins(tmp_path)["EvenNames"]().filter(PodView(a_pod()), snapshot.columns)

    assert dict(zip(snapshot.columns.names, verdict.mask.tolist(), strict=True)) == {
        f"fake-{number}": number % 2 == 0 for number in range(1, 6)
    }


def test_the_line_that_a_lab_takes_away_is_there():
    shown = "await self._fence.passed(key)"

    assert shown in (ROOT / "docs/labs/README.md").read_text()
    assert shown in (ROOT / "wherry/client/runner.py").read_text()
    assert "two_seconds_old" in (ROOT / "tests/client/test_runner.py").read_text()
