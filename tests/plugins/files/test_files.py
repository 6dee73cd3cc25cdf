"""Files that stand whole or not at all, and locks on what is being written."""

from __future__ import annotations

import errno
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import lgx
from lgx import FatalError, LockedError, UsageError, use
from lgx_plugins.files import (
    AtomicFile,
    check_target,
    explain_os_error,
    remove_leftovers,
    sync_directory,
)
from lgx_plugins.formats import recognise
from lgx_plugins.locks import TargetLock


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@contextmanager
def unprivileged() -> Iterator[None]:
    """Somebody whom the bits of modes bind."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_committed_file_stands_under_its_name_with_all_its_bytes_and_is_private(
    tmp_path: Path,
) -> None:
    target = tmp_path / "a.json"
    file = AtomicFile(target)
    assert file.write(b"one") == 3
    assert file.write(memoryview(b"-two")) == 4
    file.commit()
    assert (target.read_bytes(), target.stat().st_mode & 0o777, file.size) == (
        b"one-two",
        0o600,
        7,
    )
    assert names(tmp_path) == ["a.json"]


def test_until_commit_the_old_content_stands_and_the_temporary_file_is_hidden_and_private(
    tmp_path: Path,
) -> None:
    target = tmp_path / "a.json"
    target.write_bytes(b"old")
    with AtomicFile(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
        assert file.temporary.name.startswith(".a.json.")
        assert file.temporary.stat().st_mode & 0o777 == 0o600
    assert (names(tmp_path), target.read_bytes()) == (["a.json"], b"old")


def test_an_exception_discards_what_was_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), AtomicFile(tmp_path / "a") as file:
        file.write(b"half")
        raise RuntimeError
    assert names(tmp_path) == []


def test_discard_after_commit_removes_nothing(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a") as file:
        file.commit()
        file.discard()
    assert names(tmp_path) == ["a"]


def test_a_failed_fsync_is_fatal_and_never_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    file = AtomicFile(tmp_path / "a")
    file.write(b"x")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FatalError, match="the disk reports an error"):
        file.commit()
    file.discard()
    assert (len(calls), names(tmp_path)) == (1, [])


@pytest.mark.parametrize("refused", [False, True])
def test_a_large_file_goes_to_the_disk_while_it_is_written(
    refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system is asked to begin with what it has, so that the end takes no minutes; a file
    system that does not know the request is none the worse."""
    asked: list[tuple[int, int]] = []

    def advise(descriptor: int, offset: int, length: int, advice: int) -> None:
        asked.append((offset, length))
        if refused:
            raise OSError(errno.EINVAL, "no such advice")

    monkeypatch.setattr(os, "posix_fadvise", advise, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    piece, path = os.urandom(3 << 20), tmp_path / "large"
    with AtomicFile(path) as file:
        for _ in range(7):
            file.write(piece)
        file.commit()
    assert path.read_bytes() == 7 * piece
    assert asked == [(0, 9 << 20), (9 << 20, 9 << 20)]


def test_a_symbolic_link_under_the_name_is_replaced_and_what_it_names_stays(
    tmp_path: Path,
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(other)
    with AtomicFile(tmp_path / "link") as file:
        file.write(b"new")
        file.commit()
    assert other.read_bytes() == b"precious"
    assert (tmp_path / "link").read_bytes() == b"new"
    assert not (tmp_path / "link").is_symlink()


def test_names_as_long_as_the_system_allows_can_be_written_and_locked(tmp_path: Path) -> None:
    target = tmp_path / ("ü" * 127)
    with TargetLock(target), AtomicFile(target) as file:
        file.write(b"x")
        file.commit()
    assert names(tmp_path) == [target.name]


def test_leftovers_of_killed_writers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    left = AtomicFile(target)
    other = AtomicFile(tmp_path / "a.json.b")
    kept = [".a.json.tmp", ".a.json.0123456789abcdef.tmp.gz", "a.json.0123456789abcdef.tmp"]
    for name in kept:
        (tmp_path / name).touch()
    assert remove_leftovers(target) == 1
    assert names(tmp_path) == sorted([*kept, other.temporary.name])
    left.discard()
    other.discard()


def test_a_full_disk_is_told_in_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """With a limit on file sizes, which fails as a full disk does, in the middle of a write."""
    script = f"""
import resource, signal
from pathlib import Path
from lgx import FatalError
from lgx_plugins.files import AtomicFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with AtomicFile(Path({str(tmp_path)!r}) / "a") as file:
        for _ in range(100):
            file.write(b"x" * 3000)
        file.commit()
except FatalError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    name = str(tmp_path / "a")
    assert result.stdout == (
        f"{name!r} is larger than files may be here; raise the limit (ulimit -f), or go elsewhere\n"
    )
    assert names(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "no"
    with pytest.raises(FatalError, match=f"^'{folder}' does not exist; create it"):
        AtomicFile(folder / "a")
    with pytest.raises(UsageError, match=f"the folder '{folder}' does not exist; create it"):
        check_target(folder / "a")


@pytest.mark.parametrize("kind", ["json", "ndjson", "archive", "sqlite"])
@pytest.mark.parametrize("name", ["a\0b", "a\ud800"])
def test_a_name_that_no_file_can_have_is_a_wrong_command(
    kind: str, name: str, tmp_path: Path
) -> None:
    """At both ends, of every plugin that works on a path."""
    given = tmp_path / "given"
    given.write_bytes(b'{"kind":"thread","thread_id":"t"}\n')
    odd = use(kind, path=tmp_path / name)
    for source, sink in (
        (odd, use("ndjson", path=tmp_path / "out")),
        (use("ndjson", path=given), odd),
    ):
        with pytest.raises(UsageError, match=r"holds a (NUL )?character.*; correct it$"):
            lgx.run(source, sink)
    assert names(tmp_path) == ["given"]


@pytest.mark.parametrize("kind", ["json", "ndjson", "archive", "sqlite"])
def test_a_folder_that_may_not_be_written_to_is_named(kind: str) -> None:
    """And not the lock file or the temporary file that could not be created in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "closed"
        folder.mkdir(mode=0o555)
        given = Path(name) / "given"
        given.write_bytes(b'{"kind":"thread","thread_id":"t"}\n')
        given.chmod(0o644)
        Path(name).chmod(0o755)
        with unprivileged(), pytest.raises(UsageError) as refused:
            lgx.run(use("ndjson", path=given), use(kind, path=folder / "out"))
        assert str(refused.value) == (
            f"the folder {str(folder)!r} cannot be written to: permission denied; "
            "write elsewhere, or run as its owner"
        )


@pytest.mark.parametrize("kind", ["json", "ndjson", "archive", "sqlite"])
def test_a_folder_that_may_not_be_entered_is_named(kind: str) -> None:
    """At both ends: whether the file is there cannot be known."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "closed"
        folder.mkdir(mode=0o600)
        given = Path(name) / "given"
        given.write_bytes(b'{"kind":"thread","thread_id":"t"}\n')
        closed = use(kind, path=folder / "inside" / "threads")
        for source, sink in (
            (closed, use("ndjson", path=Path(name) / "out")),
            (use("ndjson", path=given), closed),
        ):
            with unprivileged(), pytest.raises(UsageError) as refused:
                lgx.run(source, sink)
            assert str(refused.value) == (
                f"the folder {str(folder)!r} cannot be entered: permission denied; "
                "name another path, or run as its owner"
            )


@pytest.mark.parametrize("kind", ["json", "ndjson", "archive", "sqlite"])
def test_a_source_that_may_not_be_read_is_a_wrong_command(kind: str) -> None:
    """It is named, with the cause."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "closed"
        if kind == "archive":
            path.mkdir()
        else:
            path.write_bytes(b"x")
        path.chmod(0)
        with unprivileged(), pytest.raises(UsageError) as refused:
            lgx.run(use(kind, path=path), use("ndjson", path=Path(name) / "out"))
        assert str(refused.value).startswith(f"{str(path)!r} cannot be opened: permission denied")
        path.chmod(0o700)


@pytest.mark.parametrize("kind", ["json", "ndjson", "archive", "sqlite"])
def test_a_source_that_is_missing_is_not_to_be_created(kind: str, tmp_path: Path) -> None:
    """Its path is wrong."""
    with pytest.raises(UsageError) as refused:
        lgx.run(use(kind, path=tmp_path / "no"), use("ndjson", path=tmp_path / "out"))
    assert str(refused.value) in (
        f"{str(tmp_path / 'no')!r} does not exist; check the path",
        f"there is no archive at {str(tmp_path / 'no')!r}: nothing has that name; check the path",
        f"there is no database {str(tmp_path / 'no')!r}; correct --source-path",
    )


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_source_of_another_format_is_recognised(suffix: str, tmp_path: Path) -> None:
    """By its content; the message names the plugin that reads it."""
    given = tmp_path / "given"
    given.write_bytes(b'{"kind":"thread","thread_id":"t"}\n')
    paths = {
        "json": tmp_path / f"j{suffix}",
        "ndjson": tmp_path / f"n{suffix}",
        "archive": tmp_path / "a",
        "sqlite": tmp_path / "s",
    }
    for kind, path in paths.items():
        assert lgx.run(use("ndjson", path=given), use(kind, path=path)).exit_code == 0
        assert recognise(path) == kind
    for kind in ("archive", "sqlite"):
        for other, path in paths.items():
            if kind != other:
                with pytest.raises(UsageError, match=f": read it with --source {other}$"):
                    lgx.run(use(kind, path=path), use("ndjson", path=tmp_path / "out"))
    for kind in ("json", "ndjson"):
        for other in ("archive", "sqlite"):
            with pytest.raises(UsageError, match=f": read it with --source {other}$"):
                lgx.run(use(kind, path=paths[other]), use("ndjson", path=tmp_path / "out"))


@pytest.mark.parametrize(("kind", "words"), [("json", "JSON file"), ("ndjson", "NDJSON file")])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_file_is_replaced_by_one_of_its_format_alone(
    kind: str, words: str, suffix: str, tmp_path: Path
) -> None:
    """An empty one too; anything else of the user's stays."""
    given, path = tmp_path / "given", tmp_path / f"out{suffix}"
    given.write_bytes(b'{"kind":"thread","thread_id":"t"}\n')
    path.touch()
    for _ in range(2):
        assert lgx.run(use("ndjson", path=given), use(kind, path=path)).exit_code == 0
    other = tmp_path / "other"
    lgx.run(use("ndjson", path=given), use("json" if kind == "ndjson" else "ndjson", path=other))
    database = tmp_path / "threads.db"
    lgx.run(use("ndjson", path=given), use("sqlite", path=database))
    foreign = (
        b"my notes\n",
        b'{"a": 1}',
        b"{}",
        gzip.compress(b"notes"),
        b"\x1f\x8bno",
        b"\x28\xb5\x2f\xfdno",
        other.read_bytes(),
        database.read_bytes(),
    )
    for content in foreign:
        path.write_bytes(content)
        with pytest.raises(UsageError) as refused:
            lgx.run(use("ndjson", path=given), use(kind, path=path))
        assert str(refused.value) == (
            f"{str(path)!r} exists and is no {words} of lgx; name another path, or remove it"
        )
        assert path.read_bytes() == content


def test_what_the_older_tool_wrote_may_be_replaced(tmp_path: Path) -> None:
    """It is the same layout, indented or not."""
    given, path = tmp_path / "given", tmp_path / "threads_backup.json"
    given.write_bytes(b'{"kind":"thread","thread_id":"t"}\n')
    for indent in (None, 2):
        path.write_text(json.dumps({"threads": [], "export_date": ""}, indent=indent))
        assert lgx.run(use("ndjson", path=given), use("json", path=path)).exit_code == 0


def test_what_cannot_become_a_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "old").touch()
    with pytest.raises(UsageError, match="folder' is a directory; name a file in it"):
        check_target(tmp_path / "folder")
    with pytest.raises(UsageError, match="pipe' is not a regular file"):
        check_target(tmp_path / "pipe")
    check_target(tmp_path / "old")
    check_target(tmp_path / "new")
    assert names(tmp_path) == ["folder", "old", "pipe"]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "no space is left for '/x/a'; free some, or write elsewhere"),
        (errno.EDQUOT, "no space is left for '/x/a'; free some, or write elsewhere"),
        (
            errno.EROFS,
            "'/x/a' cannot be written: the file system is read-only; write elsewhere",
        ),
        (
            errno.EACCES,
            "'/x/a' cannot be opened: permission denied; change its mode, or run as its owner",
        ),
        (errno.EISDIR, "'/x/a' is a directory; name a file"),
        (
            errno.EXDEV,
            (
                "'/x/a' cannot be read or written: invalid cross-device link; "
                "see to that and run again"
            ),
        ),
    ],
)
def test_an_error_of_the_system_becomes_one_sentence(number: int, sentence: str) -> None:
    error = explain_os_error(OSError(number, os.strerror(number)), Path("/x/a"))
    assert str(error) == sentence


def test_an_error_without_number_keeps_its_words() -> None:
    assert "timed out" in str(explain_os_error(OSError("timed out"), "a"))


def test_the_directory_of_a_renamed_file_can_be_synced_and_a_missing_one_is_an_error(
    tmp_path: Path,
) -> None:
    sync_directory(tmp_path)
    with pytest.raises(FatalError, match="does not exist"):
        sync_directory(tmp_path / "no")


# -- locks -----------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from lgx_plugins.locks import TargetLock
lock = TargetLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def holder(target: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("folder", [False, True], ids=["file", "directory"])
def test_a_second_writer_is_told_who_writes_and_a_killed_one_locks_nothing(
    tmp_path: Path, folder: bool
) -> None:
    target = tmp_path / "t"
    if folder:
        target.mkdir()
    process = holder(target)
    with process:
        with pytest.raises(
            LockedError,
            match=rf"^'{target}' is being written by process {process.pid} on host \S+ since "
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00; wait for it to end, or write elsewhere$",
        ):
            TargetLock(target).acquire()
        process.kill()
    lock_file = target / ".lgx-lock" if folder else tmp_path / "t.lgx-lock"
    assert lock_file.exists()
    with TargetLock(target):
        assert lock_file.read_text().startswith(f"process {os.getpid()} ")
        assert lock_file.stat().st_mode & 0o777 == 0o600
    assert not lock_file.exists()


def test_two_locks_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    with TargetLock(tmp_path / "t"):
        with pytest.raises(LockedError):
            TargetLock(tmp_path / "t").acquire()
        with TargetLock(tmp_path / "other"):
            pass
    lock = TargetLock(tmp_path / "t")
    lock.acquire()
    lock.release()
    lock.release()


def test_a_link_in_place_of_the_lock_file_is_refused_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "t.lgx-lock").symlink_to(precious)
    with pytest.raises(UsageError, match="symbolic link"):
        TargetLock(tmp_path / "t").acquire()
    assert precious.read_text() == "precious"


RACER = """
import sys
from pathlib import Path
from lgx import LockedError
from lgx_plugins.locks import TargetLock
target, inside = Path(sys.argv[1]), Path(sys.argv[2])
won = 0
while won < 300:
    try:
        with TargetLock(target):
            inside.mkdir()  # fails where another holder is inside
            inside.rmdir()
            won += 1
    except LockedError:
        pass
"""


def test_locks_that_are_taken_and_removed_in_turn_never_have_two_holders(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", RACER, tmp_path / "t", tmp_path / "inside"])
        for _ in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert names(tmp_path) == []
