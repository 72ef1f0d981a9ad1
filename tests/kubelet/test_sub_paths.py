"""Sub-paths of volumes: they stay in their volume, whatever containers do to it meanwhile."""

import os
import stat
from pathlib import Path

import pytest

from kubelet.supplies import sub_paths
from kubelet.supplies.sub_paths import LeadsOut, give_sub_path, sub_paths_of, take_back

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o777)
    (volume / "file").write_text("ours")
    (tmp_path / "secret").write_text("theirs")
    return volume


@pytest.fixture
def place(tmp_path: Path):
    pod = sub_paths_of(tmp_path / "pods" / "uid")
    yield pod / "app" / "0"
    take_back(pod)
    assert not pod.exists()


def test_a_missing_folder_is_made_with_the_permissions_of_its_volume(volume: Path, place: Path):
    given = give_sub_path(volume, "a/b", place)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in (given, volume / "a", volume / "a/b")}
    assert (given.is_dir(), modes) == (True, {0o777})


@needs_root
def test_what_is_given_stays_what_was_opened(volume: Path, place: Path):
    given = give_sub_path(volume, "a", place)
    (volume / "a" / "told").write_text("before")

    (volume / "a").rename(volume / "old")
    (volume / "a").symlink_to("/etc")

    assert (given, (given / "told").read_text()) == (place, "before")


@needs_root
def test_a_file_can_be_given_and_given_again(volume: Path, place: Path):
    first = give_sub_path(volume, "file", place).read_text()
    (volume / "other").write_text("other")

    second = give_sub_path(volume, "other", place).read_text()

    assert (first, second) == ("ours", "other")


@needs_root
def test_taking_back_leaves_the_files_of_the_volume(volume: Path, place: Path):
    give_sub_path(volume, "a", place)
    (volume / "a" / "kept").write_text("x")

    take_back(place.parent.parent)

    assert (volume / "a" / "kept").read_text() == "x"
    assert not place.exists()


@pytest.mark.parametrize("sub_path", ["../secret", "/etc", "link", "link/below", "a/../../secret"])
def test_a_path_that_leads_out_is_refused(volume: Path, place: Path, sub_path: str):
    (volume / "link").symlink_to("/etc")

    with pytest.raises(LeadsOut, match="leads out of its volume"):
        give_sub_path(volume, sub_path, place)


def test_a_link_within_the_volume_is_followed(volume: Path, place: Path):
    (volume / "link").symlink_to("file")

    assert give_sub_path(volume, "link", place).read_text() == "ours"


@pytest.mark.parametrize("parts", [("a",), ("a", "hostname")])
def test_a_folder_that_becomes_a_link_meanwhile_is_noticed(volume: Path, parts: tuple[str, ...]):
    (volume / "a").symlink_to("/etc")

    with pytest.raises(LeadsOut, match="a has become a link"):
        sub_paths._open_below(volume, parts, "/".join(parts))


def test_without_the_right_to_mount_the_path_itself_is_given(volume: Path, place: Path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert give_sub_path(volume, "file", place) == volume / "file"


@needs_root
def test_a_folder_that_vanishes_before_the_mount_is_not_given_by_its_name(
    volume: Path, place: Path, monkeypatch: pytest.MonkeyPatch
):
    really = sub_paths.subprocess.run

    def run(command: tuple[str, ...], **options):
        if command[0] == "mount":
            (volume / "a").rmdir()
            (volume / "a").symlink_to("/")
        return really(command, **options)

    monkeypatch.setattr(sub_paths.subprocess, "run", run)
    with pytest.raises(OSError, match="it cannot be mounted"):
        give_sub_path(volume, "a", place)
