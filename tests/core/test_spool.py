"""The spool: everything appended comes back, from memory or disk, and nothing is left."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from lgx import (
    Budget,
    Bundle,
    ChannelBlob,
    Checkpoint,
    CheckpointWrite,
    FatalError,
    RawCheckpoint,
    Record,
    Spool,
    Thread,
    ThreadError,
    ThreadRef,
    encode_line,
)


def checkpoint(number: int, size: int = 0) -> Checkpoint:
    return Checkpoint(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id=str(number),
        values=Raw(b'"' + b"x" * size + b'"'),
    )


@pytest.fixture(params=["memory", "disk", "both"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Spool, list[Record]]]:
    """A spool with a thread of 30 checkpoints: in memory, on disk, or spilled half way."""
    keep = {"memory": 4 << 20, "disk": 0, "both": 3000}[request.param]
    records: list[Record] = [Thread(thread_id="t"), *(checkpoint(n, n) for n in range(30))]
    spool = Spool(Budget(1 << 20), tmp_path, keep)
    for record in records:
        spool.append(record)
    yield spool, records
    spool.close()


def test_the_records_come_back_in_order(filled: tuple[Spool, list[Record]]) -> None:
    """As often as wanted."""
    spool, records = filled
    for _ in range(2):
        assert list(spool) == records
        assert list(spool.lines()) == [encode_line(record) for record in records]


def test_the_records_come_back_from_the_last_to_the_first(
    filled: tuple[Spool, list[Record]],
) -> None:
    """Histories arrive newest first, and are turned round so."""
    spool, records = filled
    assert list(reversed(spool)) == records[::-1]
    assert list(spool.lines_reversed()) == [encode_line(record) for record in records[::-1]]


def test_several_readers_do_not_disturb_each_other(filled: tuple[Spool, list[Record]]) -> None:
    """Each has a place of its own, in whichever direction it reads."""
    spool, records = filled
    pairs = list(zip(spool, reversed(spool), spool, strict=True))
    assert pairs == list(zip(records, records[::-1], records, strict=True))


def test_reading_while_appending_sees_what_stood_there(filled: tuple[Spool, list[Record]]) -> None:
    """Nothing that comes later, and nothing twice; a new reader sees all."""
    spool, records = filled
    forwards, backwards = iter(spool), iter(reversed(spool))
    seen = [next(forwards)], [next(backwards)]
    for number in range(100, 110):
        spool.append(checkpoint(number, 200))
    assert [*seen[0], *forwards] == records
    assert [*seen[1], *backwards] == records[::-1]
    assert list(spool) == records + [checkpoint(number, 200) for number in range(100, 110)]


def test_the_sizes_are_those_of_the_lines(filled: tuple[Spool, list[Record]]) -> None:
    """A newline is counted with each."""
    spool, records = filled
    assert spool.size == sum(len(encode_line(record)) + 1 for record in records)
    assert spool.count == len(spool) == 31
    assert spool.checkpoints == 30


@given(
    st.lists(st.integers(0, 9000), max_size=20),
    st.integers(0, 80_000),
    st.integers(0, 80_000),
)
def test_where_the_records_lie_does_not_show(sizes: list[int], keep: int, total: int) -> None:
    """Whatever their sizes, the bound of the spool and the room of the budget are."""
    budget = Budget(total)
    spool = Spool(budget, None, keep)
    try:
        records = [checkpoint(number, size) for number, size in enumerate(sizes)]
        for record in records:
            spool.append(record)
        assert budget.used <= min(keep, max(total, 16 << 10))
        assert list(spool) == records
        assert list(reversed(spool)) == records[::-1]
    finally:
        spool.close()
    assert budget.used == 0


def test_lines_larger_than_a_block_come_back(tmp_path: Path) -> None:
    """Small ones between them too; blocks are read, not the whole."""
    sizes = [3 << 20, 0, 1, 1 << 20, (1 << 20) - 200, 5, 2 << 20]
    spool = Spool(Budget(0), tmp_path)
    for number, size in enumerate(sizes):
        spool.append(checkpoint(number, size))
    assert [len(line) for line in spool.lines()] == [
        len(encode_line(checkpoint(number, size))) for number, size in enumerate(sizes)
    ]
    assert list(reversed(spool)) == [checkpoint(n, size) for n, size in enumerate(sizes)][::-1]
    spool.close()


def test_reading_from_disk_sees_the_blocks_that_stood_there(tmp_path: Path) -> None:
    """A thread of several blocks that grows while it is read."""
    spool = Spool(Budget(0), tmp_path)
    for number in range(3):
        spool.append(checkpoint(number, 1 << 20))
    reader = iter(spool)
    first = next(reader)
    spool.append(checkpoint(3, 1 << 20))
    assert [first, *reader] == [checkpoint(number, 1 << 20) for number in range(3)]
    spool.close()


def test_what_goes_to_disk_gives_its_memory_back(tmp_path: Path) -> None:
    """A spool without room does not wait for any."""
    budget = Budget(20_000)
    spool = Spool(budget, tmp_path)
    spool.append(checkpoint(1))
    assert budget.used == spool.size
    spool.append(checkpoint(2, 20_000))
    assert budget.used == 0
    assert list(spool) == [checkpoint(1), checkpoint(2, 20_000)]
    spool.close()


def test_a_small_thread_stays_in_memory_when_the_budget_is_used_up(tmp_path: Path) -> None:
    """Or each of them would become a file; it is counted beyond the budget."""
    budget = Budget(0)
    spool = Spool(budget, tmp_path)
    spool.append(checkpoint(1, 16_000))
    assert spool._file is None
    assert budget.used == spool.size
    spool.append(checkpoint(1, 1000))
    assert spool._file is not None
    assert budget.used == 0
    spool.close()


def test_nothing_of_it_can_be_found_by_name(tmp_path: Path) -> None:
    """The file has no name at any time, and no one else may read it."""
    spool = Spool(Budget(0), tmp_path, keep=0)
    spool.append(checkpoint(1))
    assert list(tmp_path.iterdir()) == []
    assert spool._file is not None
    found = os.fstat(spool._file.fileno())
    assert found.st_nlink == 0
    assert stat.S_IMODE(found.st_mode) == 0o600
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_gives_back_once(tmp_path: Path) -> None:
    """Whoever asked for it closes it, perhaps again in a finally."""
    budget = Budget(1 << 20)
    spool = Spool(budget, tmp_path)
    spool.append(checkpoint(1))
    spool.close()
    spool.close()
    assert budget.used == 0


def test_a_directory_that_is_not_there_is_fatal(tmp_path: Path) -> None:
    """The message names it."""
    spool = Spool(Budget(0), tmp_path / "missing", keep=0)
    with pytest.raises(FatalError) as caught:
        spool.append(checkpoint(1))
    assert str(caught.value) == (
        f"cannot keep a thread on disk in {tmp_path / 'missing'}: No such file or directory; "
        "free room there, or name another place with --spool-dir"
    )
    spool.close()


FULL = """
import resource, signal, sys
from pathlib import Path
from lgx import Budget, Checkpoint, FatalError, Spool, raw
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
spool = Spool(Budget(0), Path(sys.argv[1]))
try:
    for number in range(100):
        spool.append(
            Checkpoint(
                thread_id="t", checkpoint_ns="", checkpoint_id="c", values=raw("x" * 10_000)
            )
        )
        list(spool.lines())
except FatalError as error:
    print(error)
spool.close()
"""


def test_a_full_disk_is_fatal(tmp_path: Path) -> None:
    """Here a bound on the size of files stands for the disk; closing is possible all the same."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == (
        (
            f"cannot keep a thread on disk in {tmp_path}: File too large; "
            "free room there, or name another place with --spool-dir\n"
        ),
        "",
        0,
    )


def test_a_bundle_is_its_spool_with_a_name(filled: tuple[Spool, list[Record]]) -> None:
    """A sink reads it as often as it wants; the engine closes it."""
    spool, records = filled
    bundle = Bundle(spool, ref=ThreadRef(thread_id="t", version="1"), mark=None)
    assert bundle.thread_id == "t"
    assert list(bundle) == list(bundle) == records
    assert list(bundle.lines()) == list(spool.lines())
    assert (len(bundle), bundle.size, bundle.checkpoints) == (31, spool.size, 30)
    assert (bundle.outcome, bundle.losses) == ("complete", ())


# -- rows of checkpointers, which are kept as they are ---------------------------------


def rows(count: int, size: int = 50) -> list[Record]:
    """A thread as a checkpointer has it."""
    found: list[Record] = [Thread(thread_id="tür")]
    for number in range(count):
        found += [
            RawCheckpoint(
                thread_id="tür",
                checkpoint_ns="a",
                checkpoint_id=f"c{number}",
                document=Raw(b'{"v": 4, "text": "\xc3\xa4"}'),
                metadata=Raw(b"{}"),
            ),
            ChannelBlob(
                thread_id="tür",
                checkpoint_ns="a",
                channel="messages",
                version=str(number),
                type="bytes",
                blob=bytes(range(256)) * size,
            ),
            CheckpointWrite(
                thread_id="tür",
                checkpoint_ns="a",
                checkpoint_id=f"c{number}",
                task_id="task",
                idx=-3,
                channel="messages",
                type=None,
                blob=None,
            ),
        ]
    return found


@pytest.mark.parametrize("keep", [4 << 20, 100_000, 0])
def test_rows_come_back_wherever_they_lie(keep: int, tmp_path: Path) -> None:
    """As records and as lines, forwards and backwards: in memory, spilled half way, on disk."""
    budget = Budget(4 << 20)
    spool = Spool(budget, tmp_path, keep)
    records = [*rows(20), *rows(20)]
    for start in range(0, len(records), 25):
        spool.extend(records[start : start + 25])
    lines = [encode_line(record) for record in records]
    assert list(spool) == records
    assert list(reversed(spool)) == records[::-1]
    assert list(spool.lines()) == lines
    assert list(spool.lines_reversed()) == lines[::-1]
    assert b"".join(spool.blocks()) == b"".join(line + b"\n" for line in lines)
    assert (len(spool), spool.checkpoints) == (122, 40)
    for kinds in (["channel_blob"], ["thread", "raw_checkpoint"], []):
        assert list(spool.without(kinds)) == [one for one in records if one.kind not in kinds]
    assert spool.size == pytest.approx(sum(map(len, lines)), rel=0.05)
    spool.close()
    assert budget.used == 0


def test_rows_in_memory_are_the_same_objects() -> None:
    """Nothing was encoded, and what they take is counted, with what Python adds."""
    budget = Budget(4 << 20)
    spool = Spool(budget)
    records = rows(10)
    spool.extend(records)
    assert [*map(id, spool)][1:] == [*map(id, records)][1:]
    assert budget.used > spool.size + 30 * 500
    spool.close()


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (b'{"a":\n1}', b'"document":{"a":1}'),
        (b'{"a":\r1}', b'"document":{"a":1}'),
        (b'{"a": "\xff"}', None),
    ],
)
def test_a_row_that_is_no_line_as_it_stands_is_not_kept_so(
    document: bytes, line: bytes | None
) -> None:
    """White space becomes compact; what is no UTF-8 fails as it does everywhere."""
    spool = Spool(Budget(1 << 20))
    record = RawCheckpoint(
        thread_id="t", checkpoint_ns="", checkpoint_id="c", document=Raw(document)
    )
    if line is None:
        with pytest.raises(ThreadError, match="not UTF-8"):
            spool.extend([record])
    else:
        spool.extend([record])
        assert line in b"".join(spool.lines())
        (kept,) = spool
        assert kept == replace(record, document=Raw(line.partition(b":")[2]))
    spool.close()


def test_a_row_with_a_lone_surrogate_or_other_fields_is_encoded_at_once() -> None:
    """The former is refused, where and as it always was; the latter come back."""
    spool = Spool(Budget(1 << 20))
    plain = ChannelBlob(
        thread_id="t", checkpoint_ns="", channel="c", version="1", type="null", blob=None
    )
    with pytest.raises(ThreadError, match="lone surrogate"):
        spool.extend([replace(plain, channel="\ud800")])
    odd = replace(plain, extra={"more": Raw(b"1")})
    spool.extend([odd])
    assert list(spool) == [odd]
    spool.close()
