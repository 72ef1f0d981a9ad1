"""What each volume type puts into a directory."""

import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from wherry.volumes import MountFailed, Token, volume_type
from wherry.volumes.files import File, write_atomically
from wherry.volumes.memory import make_memory_folder

CLAIM = {"hostPath": {"path": "/tmp"}}


class FakeHost:
    """A node with a few objects."""

    def __init__(self, folder: Path) -> None:
        self.pod_uid, self.fs_group, self.memory_folder = "uid", None, folder / "memory"
        self.config_maps: dict[str, dict[str, bytes]] = {"settings": {"color": b"red", "size": b"big"}}
        self.secrets: dict[str, dict[str, bytes]] = {"key": {"word": b"hush"}}
        self.claims: dict[str, Any] = {}
        self.tokens = 0

    async def config_map(self, name: str) -> Mapping[str, bytes] | None:
        return self.config_maps.get(name)

    async def secret(self, name: str) -> Mapping[str, bytes] | None:
        return self.secrets.get(name)

    async def token(self, audience: str, seconds: int) -> Token:
        self.tokens += 1
        return Token(f"{audience}-{seconds}-{self.tokens}", datetime(2026, 1, 1, tzinfo=UTC))

    async def claimed(self, claim: str) -> Mapping[str, Any]:
        if claim not in self.claims:
            raise MountFailed(f'persistentvolumeclaim "{claim}" not found')
        found: Mapping[str, Any] = self.claims[claim]
        return found

    async def image(self, reference: str, pull_policy: str, folder: Path) -> None:
        folder.mkdir(parents=True)  # noqa: ASYNC240
        (folder / "from").write_text(f"{reference} {pull_policy}")

    def field(self, path: str) -> str:
        return {"metadata.name": "web"}[path]

    def resource(self, container: str, resource: str, divisor: str) -> str:
        return f"{container} {resource} {divisor}"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def a_volume(key: str, **source: Any) -> Any:
    return volume_type(key).read(source)


def content(path: Path) -> dict[str, str]:
    files = [
        file for file in path.rglob("*") if file.is_file() and not file.relative_to(path).parts[0].startswith("..")
    ]
    return {str(file.relative_to(path)): file.read_text() for file in files}


async def mounted(host: FakeHost, tmp_path: Path, volume: Any) -> dict[str, str]:
    path = tmp_path / "volume"
    try:
        return content(await volume.mount(host, path))
    finally:
        await volume.unmount(path)


async def test_a_config_map_becomes_one_file_per_key(host: FakeHost, tmp_path: Path):
    volume = a_volume("configMap", name="settings")

    assert await mounted(host, tmp_path, volume) == {"color": "red", "size": "big"}


async def test_items_choose_keys_paths_and_modes(host: FakeHost, tmp_path: Path):
    items = [{"key": "color", "path": "deep/er/color.txt", "mode": 0o400}]
    volume = a_volume("configMap", name="settings", items=items)

    path = await volume.mount(host, tmp_path / "volume")

    assert content(path) == {}  # nothing at the top but a link to a folder
    assert (path / "deep/er/color.txt").read_text() == "red"
    assert (path / "deep/er/color.txt").stat().st_mode & 0o777 == 0o400


@pytest.mark.parametrize(
    ("key", "source", "message"),
    [
        ("configMap", {"name": "gone"}, 'configmap "gone" not found'),
        ("secret", {"secretName": "gone"}, 'secret "gone" not found'),
        (
            "configMap",
            {"name": "settings", "items": [{"key": "x", "path": "x"}]},
            "configmap settings references non-existent config key: x",
        ),
        ("configMap", {"name": "settings", "items": [{"key": "color", "path": "../x"}]}, "invalid path '../x'"),
        ("persistentVolumeClaim", {"claimName": "gone"}, 'persistentvolumeclaim "gone" not found'),
        (
            "hostPath",
            {"path": "/no/such", "type": "Directory"},
            "hostPath type check failed: /no/such is not a directory",
        ),
    ],
)
async def test_what_cannot_be_mounted_says_why(host: FakeHost, tmp_path: Path, key: str, source: Any, message: str):
    with pytest.raises(MountFailed) as raised:
        await mounted(host, tmp_path, a_volume(key, **source))

    assert str(raised.value).startswith(message)


async def test_optional_sources_may_be_missing(host: FakeHost, tmp_path: Path):
    assert await mounted(host, tmp_path, a_volume("secret", secretName="gone", optional=True)) == {}


async def test_a_secret_is_kept_in_memory(host: FakeHost, tmp_path: Path):
    volume = a_volume("secret", secretName="key")

    path = await volume.mount(host, tmp_path / "volume")

    assert (path / "word").read_text() == "hush"
    assert (tmp_path / "volume").is_mount() or (tmp_path / "volume").is_symlink()
    await volume.unmount(tmp_path / "volume")
    assert not (tmp_path / "volume" / "word").exists()


async def test_live_volumes_follow_their_source(host: FakeHost, tmp_path: Path):
    volume = a_volume("configMap", name="settings")
    path = await volume.mount(host, tmp_path / "volume")

    host.config_maps["settings"] = {"color": b"blue"}
    await volume.refresh(host, path)

    assert content(path) == {"color": "blue"}


async def test_projected_sources_come_together_and_the_later_wins(host: FakeHost, tmp_path: Path):
    sources = [
        {"serviceAccountToken": {"path": "token", "audience": "api", "expirationSeconds": 600}},
        {"configMap": {"name": "settings", "items": [{"key": "color", "path": "word"}]}},
        {"secret": {"name": "key"}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]

    assert await mounted(host, tmp_path, a_volume("projected", sources=sources)) == {
        "token": "api-600-1",
        "word": "hush",
        "name": "web",
    }


async def test_an_empty_dir_is_for_everyone_in_the_pod(host: FakeHost, tmp_path: Path):
    path = await a_volume("emptyDir").mount(host, tmp_path / "volume")

    assert path.stat().st_mode & 0o777 == 0o777
    assert list(path.iterdir()) == []


async def test_a_claim_leads_to_the_directory_of_its_volume(host: FakeHost, tmp_path: Path):
    host.claims["data"] = {"local": {"path": str(tmp_path)}}

    assert await a_volume("persistentVolumeClaim", claimName="data").mount(host, tmp_path / "volume") == tmp_path


async def test_a_host_path_can_be_created(host: FakeHost, tmp_path: Path):
    await a_volume("hostPath", path=str(tmp_path / "a/b"), type="DirectoryOrCreate").mount(host, tmp_path / "volume")

    assert (tmp_path / "a/b").is_dir()


def test_an_unknown_type_names_those_that_exist():
    with pytest.raises(MountFailed, match="allowed are configMap, downwardAPI, emptyDir, ephemeral"):
        volume_type("floppy")


def test_files_are_swapped_all_at_once(tmp_path: Path):
    write_atomically(tmp_path, {"a": File(b"1"), "b": File(b"1")})
    before = os.readlink(tmp_path / "..data")

    changed = write_atomically(tmp_path, {"a": File(b"2")})
    unchanged = write_atomically(tmp_path, {"a": File(b"2")})

    assert (changed, unchanged) == (True, False)
    assert content(tmp_path) == {"a": "2"}
    assert os.readlink(tmp_path / "..data") != before
    assert len([entry for entry in tmp_path.iterdir() if entry.name.startswith("..")]) == 2


def versions(path: Path) -> list[str]:
    return [entry.name for entry in path.iterdir() if entry.name.startswith("..") and not entry.is_symlink()]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path):
    write_atomically(tmp_path / "v", {"a": File(b"old")})

    for _ in range(3):
        with pytest.raises(FileExistsError):
            write_atomically(tmp_path / "v", {"a": File(b"new"), "a/b": File(b"no file can be here")})

    assert (tmp_path / "v/a").read_text() == "old"
    assert len(versions(tmp_path / "v")) == 1


def test_what_a_killed_process_left_half_written_goes_with_the_next_version(tmp_path: Path):
    write_atomically(tmp_path / "v", {"a": File(b"old")})
    (tmp_path / "v/..half").mkdir()
    (tmp_path / "v/..half/a").write_text("never shown")

    write_atomically(tmp_path / "v", {"a": File(b"new")})

    assert (tmp_path / "v/a").read_text() == "new"
    assert len(versions(tmp_path / "v")) == 1


def test_nothing_is_removed_where_a_link_inside_a_volume_leads(tmp_path: Path):
    precious = tmp_path / "precious"
    precious.mkdir()
    write_atomically(tmp_path / "v", {"a": File(b"old")})
    (tmp_path / "v/..data").unlink()
    (tmp_path / "v/..data").symlink_to(precious)

    write_atomically(tmp_path / "v", {"a": File(b"new")})

    assert precious.is_dir()
    assert (tmp_path / "v/a").read_text() == "new"


def test_memory_that_is_shared_by_the_machine_lets_nobody_else_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mount").symlink_to("/bin/false")  # as where we may not mount
    monkeypatch.setenv("PATH", str(tmp_path))

    make_memory_folder(tmp_path / "volume", tmp_path / "shm/wherry-uid/volume")

    assert (tmp_path / "volume").resolve() == tmp_path / "shm/wherry-uid/volume"
    assert (tmp_path / "shm/wherry-uid").stat().st_mode & 0o777 == 0o700


async def test_memory_that_a_reboot_took_is_there_again(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "mount").symlink_to("/bin/false")
    monkeypatch.setenv("PATH", str(tmp_path))
    secret, scratch = a_volume("secret", secretName="key"), a_volume("emptyDir", medium="Memory")
    for name, volume in (("key", secret), ("scratch", scratch)):
        await volume.mount(host, tmp_path / name)

    shutil.rmtree(host.memory_folder)
    folders = [await secret.mount(host, tmp_path / "key"), await scratch.mount(host, tmp_path / "scratch")]

    assert [content(folder) for folder in folders] == [{"word": "hush"}, {}]


async def test_an_image_is_unpacked_once_and_only_read(host: FakeHost, tmp_path: Path) -> None:
    volume = a_volume("image", reference="tools:1", pullPolicy="Always")

    first = await volume.mount(host, tmp_path / "v")
    (first / "from").write_text("kept")

    assert (await volume.mount(host, tmp_path / "v") / "from").read_text() == "kept"
    assert volume.is_read_only
    with pytest.raises(MountFailed, match="names no reference"):
        await a_volume("image").mount(host, tmp_path / "w")
