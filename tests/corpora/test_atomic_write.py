"""Files are complete or absent, only plain files are replaced, and leftovers of killed processes are removed."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from emofusion.corpora import atomic_write
from emofusion.corpora.atomic_write import (
    check_absent,
    check_file,
    make_folder,
    staged,
    workshop,
    write_json,
)


@pytest.fixture(autouse=True)
def another_process(monkeypatch):
    """Leftovers are removed once per process and folder."""
    monkeypatch.setattr(atomic_write, "_cleaned", set())


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def stage(folder, *files, error=None):
    """Write files in a folder, or fail after that."""
    with staged(folder) as staging:
        for name in files:
            (staging / name).write_text("new")
        if error is not None:
            raise error


def test_nothing_is_written_after_error(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(KeyError):
        stage(tmp_path, "a", error=KeyError)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_plain_files_and_links_to_them_are_replaced(tmp_path):
    (tmp_path / "blob").write_text("old")
    os.symlink("blob", tmp_path / "link.json")
    os.symlink("nowhere", tmp_path / "broken.json")
    for name in ("link.json", "broken.json", "blob"):
        write_json(tmp_path / name, [name])
        assert (tmp_path / name).read_text() == f'[\n  "{name}"\n]\n'
        assert names(tmp_path) == ["blob", "broken.json", "link.json"]


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a fifo"),
        (os.mkdir, "a folder"),
        (make_socket, "a socket"),
        (lambda path: os.symlink("/dev/null", path), "a device"),
    ],
)
@pytest.mark.parametrize("write", [lambda path: write_json(path, 1), check_file, check_absent])
def test_what_is_no_plain_file_is_kept(tmp_path, monkeypatch, make, kind, write):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    make("x.json")
    before = os.lstat("x.json")
    if write is check_absent and kind == "a folder":
        return
    with pytest.raises(FileExistsError, match=rf"x\.json is {kind}, not a plain file: give another name\."):
        write(tmp_path / "x.json")
    assert os.lstat("x.json") == before
    assert names(tmp_path) == ["x.json"]


def test_staged_files_replace_plain_files_only(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(FileExistsError, match="b is a folder, not a plain file"):
        stage(tmp_path, "a", "b")
    assert names(tmp_path) == ["b"]


@pytest.mark.parametrize(
    "path", ["/dev/stdout", "/dev/null", "/dev/new.json", "/proc/x", "/proc/self/fd/1", "/sys/x/y"]
)
@pytest.mark.parametrize("write", [lambda path: write_json(path, 1), check_file, make_folder, check_absent])
def test_folders_of_system_are_refused(path, write):
    with pytest.raises(FileExistsError, match=rf"{path} is in /(dev|proc|sys), a folder of the system: give another"):
        write(path)


def test_link_into_folder_of_system_is_refused(tmp_path):
    os.symlink("/proc", tmp_path / "link")
    with pytest.raises(FileExistsError, match="is in /proc, a folder of the system"):
        check_file(tmp_path / "link" / "x.json")


def test_missing_folder_and_one_that_is_read_only_are_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        check_file(tmp_path / "nowhere" / "x.json")
    (tmp_path / "x").touch()
    with pytest.raises(NotADirectoryError, match=r"x/y cannot be created \(Not a directory\): give another"):
        make_folder(tmp_path / "x" / "y")

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)  # permissions do not restrict a super-user
    with pytest.raises(PermissionError, match=r"cannot be written to \(Permission denied\): change its permissions"):
        check_file(tmp_path / "x.json")


HOLD = "import sys; from emofusion.corpora.atomic_write import staged\nwith staged(sys.argv[1]): print(flush=True); input()"


def test_leftovers_of_killed_process_are_removed_and_those_of_living_one_kept(tmp_path):
    (tmp_path / ".staged-old").mkdir()  # of a version without locks
    (tmp_path / ".staged-old" / "x").touch()
    (tmp_path / ".staged-file").touch()
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        (held,) = set(names(tmp_path)) - {".staged-file"}
        with staged(tmp_path) as staging:
            assert {held, staging.parent.name, ".staged-file"} == set(names(tmp_path))
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert names(tmp_path) == sorted([".staged-file", held])
    atomic_write._cleaned.clear()
    write_json(tmp_path / "a.json", 1)
    assert names(tmp_path) == [".staged-file", "a.json"]


def test_leftovers_of_other_prefixes_are_kept(tmp_path):
    (tmp_path / ".a-1").mkdir()
    (tmp_path / ".b-1").mkdir()
    with workshop(tmp_path, ".b-"):
        assert names(tmp_path)[0] == ".a-1"
        assert len(names(tmp_path)) == 2
    assert names(tmp_path) == [".a-1"]


@pytest.mark.parametrize("error", [NotImplementedError, OSError(95, "Operation not supported")])
def test_file_system_without_locks_is_written_to_and_its_leftovers_are_kept(tmp_path, monkeypatch, error):
    def refuse(*arguments, **options):
        raise error

    monkeypatch.setattr("emofusion.corpora.atomic_write.FileLock.acquire", refuse)
    (tmp_path / ".staged-old").mkdir()
    write_json(tmp_path / "a.json", 1)
    assert names(tmp_path) == [".staged-old", "a.json"]
