"""What all tests share: `from make import a_pod` works everywhere below this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
