"""What clients are tried on: the fake API server, and the real one, which keeps the fake honest."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi
from real_api import RealApi

from wherry.sim.cluster import signing_key


@pytest.fixture(params=["fake", "real"])
def an_api(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """Makes an API server: `api = an_api(lag_seconds=2)`."""
    if request.param == "fake":
        return FakeApi
    key_file = tmp_path / "service-account.key"
    key_file.write_bytes(signing_key())
    return partial(RealApi, key_file)
