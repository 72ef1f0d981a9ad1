"""The scheduler's tests speak to the fake API server of the client's tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "client"))
