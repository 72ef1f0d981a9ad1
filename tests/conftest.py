"""What all tests share: `from make import a_pod` works everywhere below this folder."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
# kubectl lives for a moment: what it collects of its garbage meanwhile is a quarter of its processor time.
os.environ.setdefault("GOGC", "400")
