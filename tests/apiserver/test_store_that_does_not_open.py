"""An API server that has no store says so in a line."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("etcd:http://e", "etcd endpoint 'http://e': expected https://HOST:PORT or http://HOST:PORT"),
        ("paper", "store 'paper': expected memory, sqlite:PATH or etcd:URL,URL,…"),
    ],
)
def test_it_ends_with_a_line_and_without_a_traceback(tmp_path: Path, store: str, said: str) -> None:
    (tmp_path / "file").touch()
    files = ("--tls-cert", "--tls-key", "--client-ca", "--service-account-key")
    given = [word for option in files for word in (option, str(tmp_path / "file"))]
    command = [sys.executable, "-m", "apiserver", "--store", store, *given]

    done = subprocess.run(command, capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"Error: --store {store}: {said}\n")
