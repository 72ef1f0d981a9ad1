"""A server that uses no CEL does not load the engine."""

import subprocess
import sys


def test_importing_the_package_does_not_load_the_engine():
    program = "import sys, wherry.machinery.cel; print('cel_expr_python' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout == "False\n"
