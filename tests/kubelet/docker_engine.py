"""What tests of the real engine need: an image without a registry, and an honest skip where no daemon answers."""

import functools
import io
import shutil
import tarfile
from pathlib import Path

import docker
import docker.errors
import pytest

TEST_IMAGE = "wherrytest-kubelet/busybox:1"
_APPLETS = (
    "sh sleep cat echo true false ls env id nc httpd wget kill date head tail touch printf stat mkdir rm hostname test"
)


@functools.cache
def why_not() -> str:
    """Why the real engine cannot be tested here; empty when it can. Builds the image on the first call."""
    try:
        client = docker.APIClient(version="auto", timeout=10)
    except docker.errors.DockerException as error:
        return f"no Docker daemon answers: {error}"
    try:
        return have_image(client)
    finally:
        client.close()


def have_image(client: docker.APIClient) -> str:
    """Give an engine the image that tests run; why that cannot be, or empty."""
    try:
        client.inspect_image(TEST_IMAGE)
    except docker.errors.ImageNotFound:
        busybox = shutil.which("busybox")
        if busybox is None:
            return "no busybox to build a test image from (apt install busybox-static)"
        client.import_image_from_data(_root_file_system(Path(busybox)), repository=TEST_IMAGE.split(":")[0], tag="1")
    return ""


def require_docker() -> None:
    """Skip the test, with the reason, where there is no Docker."""
    if reason := why_not():
        pytest.skip(reason)


def _root_file_system(busybox: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(busybox.resolve(), "bin/busybox")
        for applet in _APPLETS.split():
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name, text in {"etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        for name in ("tmp", "etc", "var", "run"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o777 if name == "tmp" else 0o755
            tar.addfile(directory)
    return buffer.getvalue()
