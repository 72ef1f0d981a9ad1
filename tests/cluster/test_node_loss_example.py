"""The demonstration of a node that is cut off, as a person runs it."""

import os
import re
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from cluster.live_cluster import BESIDE, REPOSITORY, engine

pytestmark = pytest.mark.xdist_group("node loss")


def test_pods_move_within_fifteen_seconds_and_nothing_runs_twice_when_the_node_returns(tmp_path: Path) -> None:
    engine()
    name = f"wt-{uuid4().hex[:6]}"
    environment = {**os.environ, "NAME": name, "DATA_DIR": str(tmp_path / "data"), "WHERRY": str(BESIDE / "wherry")}

    done = subprocess.run(
        (str(REPOSITORY / "examples" / "node-loss.sh"),), env=environment, capture_output=True, text=True, timeout=240
    )

    assert done.returncode == 0, done.stdout + done.stderr
    noticed, moved, *_ = (int(seconds) for seconds in re.findall(r"^after (\d+) s$", done.stdout, re.MULTILINE))
    assert noticed <= 6
    assert noticed + moved <= 15
    assert "tolerationSeconds of 5 s for node.kubernetes.io/unreachable ends" in done.stdout
    assert engine().containers(all=True, filters={"label": f"io.wherry.cluster={name}"}) == []
