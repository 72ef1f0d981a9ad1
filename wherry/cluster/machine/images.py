"""The images Wherry brings along, built without a registry from the machine's own busybox.

`wherry/pause:local` is the sandbox of every pod: it must hold /bin/busybox. `wherry/web:local` and `wherry/web:v2` are
the sample: busybox with a small web server that says who it is. They are built anew when this file's recipe changes.
`build` serves others that need an image (rules_container.py).

busybox is that of the machine, or as root on Debian that of its package (which is not installed for it), or the one of
the image `busybox:musl` that Docker has or may fetch.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from wherry.cluster.machine import debian
from wherry.cluster.problem import ClusterProblem

PAUSE_IMAGE = "wherry/pause:local"
WEB_IMAGES = {"wherry/web:local": "1", "wherry/web:v2": "2"}
LABEL = "io.wherry.image"
# Counted up when the recipe below changes, so that older images are not taken for today's.
_EDITION = b"1"
_DONOR = "busybox:musl"
_WEB_SERVER = Path(__file__).with_name("web.sh")
_FOLDERS = {"bin": 0o755, "etc": 0o755, "root": 0o700, "tmp": 0o1777, "usr/bin": 0o755, "var/run": 0o755, "www": 0o777}
_TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nnobody:x:65534:\n",
}
_PATH = "ENV PATH=/bin:/usr/bin"


class Program(NamedTuple):
    """A busybox for containers: its own file, and those it must be given if it is not static."""

    binary: bytes
    applets: tuple[str, ...]
    libraries: dict[str, bytes]


def have_images(client: Any, say: Callable[[str], None]) -> None:
    """See that the images are there, and as this version of Wherry makes them."""
    wanted = {PAUSE_IMAGE: "", **WEB_IMAGES}
    digest = hashlib.sha256(_WEB_SERVER.read_bytes() + _EDITION).hexdigest()[:16]
    if all(digest_of(client, image) == digest for image in wanted):
        return
    say("building images: " + ", ".join(wanted))
    program = find_busybox(client)
    for image, version in wanted.items():
        if version:
            changes = (f"ENV VERSION={version}", "ENV PORT=8080", "EXPOSE 8080", 'CMD ["/bin/web"]')
            build(client, image, digest, program, {"bin/web": _WEB_SERVER.read_bytes()}, changes)
        else:
            build(client, image, digest, program)


def remove_images(client: Any) -> None:
    """Remove what `have_images` made, as far as no container uses it."""
    import docker.errors  # type: ignore[import-untyped]

    for image in client.images(filters={"label": LABEL}):
        for tag in image["RepoTags"] or [image["Id"]]:
            try:
                client.remove_image(tag)
            except docker.errors.APIError:
                continue  # in use by a container that is not ours to remove


def find_busybox(client: Any) -> Program:
    """The machine's busybox, else that of a Debian package or of an image."""
    path = _binary()
    if path is not None:
        return _program(path)
    if debian.may_install():
        with tempfile.TemporaryDirectory() as folder, suppress(ClusterProblem):
            debian.unpack("busybox-static", Path(folder))
            return _program(next(Path(folder).rglob("bin/busybox")))
    return _out_of_image(client)


def _program(path: Path) -> Program:
    listed = subprocess.run((path, "--list"), capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    libraries = {name: Path(name).read_bytes() for name in libraries_of(path)}
    return Program(path.read_bytes(), tuple(listed.split()), libraries)


def _binary() -> Path | None:
    """A busybox that runs in a Linux container."""
    found = shutil.which("busybox", path=os.pathsep.join((os.environ.get("PATH", ""), "/bin", "/usr/bin")))
    if found is None:
        return None
    path = Path(found).resolve()
    with path.open("rb") as file:
        return path if file.read(4) == b"\x7fELF" else None


def libraries_of(path: Path) -> Iterator[str]:
    """What the dynamic loader would bring along, itself included; nothing for a static program."""
    try:
        listed = subprocess.run(("ldd", str(path)), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError:
        return
    for line in listed.stdout.splitlines() if listed.returncode == 0 else ():
        for word in line.split():
            if word.startswith("/") and Path(word).is_file():
                yield word
                # glibc loads these by name when a host is looked up; new releases have them within libc.
                beside = ("libnss_dns.so.2", "libnss_files.so.2") if "/libc." in word else ()
                yield from (str(path) for name in beside if (path := Path(word).with_name(name)).is_file())


def _out_of_image(client: Any) -> Program:
    import docker.errors

    try:
        client.inspect_image(_DONOR)
    except docker.errors.ImageNotFound:
        repository, _, tag = _DONOR.partition(":")
        try:
            client.pull(repository, tag=tag)
        except docker.errors.APIError as error:
            raise ClusterProblem(
                f"no busybox on this machine to make images of, and {_DONOR} cannot be fetched ({error.explanation}): "
                "install busybox (Debian: busybox-static; Fedora, Arch: busybox) or load that image into Docker"
            ) from error
    container = client.create_container(_DONOR)["Id"]
    try:
        stream, _ = client.get_archive(container, "/bin")
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            applets = tuple(Path(member.name).name for member in tar.getmembers() if not member.isdir())
            file = tar.extractfile("bin/busybox")
            return Program(file.read() if file else b"", tuple(a for a in applets if a != "busybox"), {})
    finally:
        client.remove_container(container)


def digest_of(client: Any, image: str) -> str:
    """Of which recipe an image is; empty if there is none."""
    import docker.errors

    try:
        return str((client.inspect_image(image)["Config"]["Labels"] or {}).get(LABEL) or "")
    except docker.errors.ImageNotFound:
        return ""


def build(
    client: Any,
    image: str,
    digest: str,
    busybox: Program,
    programs: Mapping[str, bytes] = types.MappingProxyType({}),
    changes: Sequence[str] = (),
) -> None:
    """Make an image of busybox and other executable files, by path; `changes` are lines of a Dockerfile."""
    repository, _, tag = image.partition(":")
    labelled = [f"LABEL {LABEL}={digest}", _PATH, *changes]
    root = _root_file_system(busybox, programs)
    client.import_image_from_data(root, repository=repository, tag=tag, changes=labelled)


def _root_file_system(busybox: Program, programs: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, mode in _FOLDERS.items():
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
        files = {name: (text.encode(), 0o644) for name, text in _TEXTS.items()}
        executables = {"bin/busybox": busybox.binary, **busybox.libraries, **programs}
        files |= {name.lstrip("/"): (content, 0o755) for name, content in executables.items()}
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
        for applet in busybox.applets:
            if f"bin/{applet}" not in files:
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
    return buffer.getvalue()
