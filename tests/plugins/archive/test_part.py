"""Parts: what is compressed in threads beside comes out in order, and ends with its run."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest
import zstandard

from lgx import ThreadError
from lgx_plugins.archive.index import Entry
from lgx_plugins.archive.part import Compressor, Part


class Kept:
    """A file in memory."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def commit(self, name: str) -> None:
        """Nothing to do."""

    def discard(self) -> None:
        """Nothing to do."""


@pytest.fixture
def compressor() -> Iterator[Compressor]:
    compressor = Compressor(9)
    yield compressor
    compressor.close()
    assert [t.name for t in threading.enumerate() if t.name.startswith("lgx-zstd")] == []


def entry(thread_id: str) -> Entry:
    return Entry(thread_id=thread_id, bytes=0, sha256="")


def lines(number: int, count: int) -> list[bytes]:
    return [
        b'{"kind":"thread"}',
        *(b'{"kind":"checkpoint","n":%d,"m":%d}' % (number, at) for at in range(count)),
    ]


def stored(part: Part, data: bytes) -> list[tuple[str, bytes]]:
    """What the index finds in the part."""
    found = []
    for one in part.entries:
        frame = part.frames[one.frame]
        packed = data[frame.offset : frame.offset + frame.size]
        text = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
        assert len(text) == frame.bytes
        found.append((one.thread_id, text[one.offset : one.offset + one.bytes]))
    return found


def test_frames_stand_in_the_order_in_which_they_were_filled(compressor: Compressor) -> None:
    """Small threads and large ones by turns, and more frames than there are threads at work."""
    file = Kept()
    part = Part(file, "stem", compressor, frame_bytes=2000)
    given = {f"t{number:03}": lines(number, 1 + number * 7 % 90) for number in range(200)}
    for number, (thread_id, listed) in enumerate(given.items()):
        if number % 9 == 0:
            part.add_large(entry(thread_id), iter(listed), hashlib.sha256())
        else:
            data = b"".join(line + b"\n" for line in listed)
            part.add_small(entry(thread_id), data, len(listed), len(listed) - 1)
    part.finish()

    wanted = {t: b"".join(line + b"\n" for line in listed) for t, listed in given.items()}
    assert stored(part, file.data) == list(wanted.items())
    digests = {one.thread_id: one.sha256 for one in part.entries}
    assert digests == {t: hashlib.sha256(data).hexdigest()[:32] for t, data in wanted.items()}
    assert [one.records for one in part.entries] == [len(listed) for listed in given.values()]
    assert (part.size, part.digest.digest()) == (len(file.data), hashlib.sha256(file.data).digest())
    assert part.bytes == sum(map(len, wanted.values()))
    assert len(part.frames) > 20


def test_records_are_counted_by_kind(compressor: Compressor) -> None:
    """Whatever stands where, and what only looks like a record inside one is none."""
    part = Part(Kept(), "stem", compressor, frame_bytes=2000)
    part.add_small(entry("a"), b'{"kind":"checkpoint"}\n{"kind":"run"}\n{"kind":"run"}\n', 3, 1)
    part.add_small(entry("b"), b'{"kind":"thread","x":"{\\"kind\\":\\"checkpoint\\"}"}\n', 1, 0)
    part.add_small(entry("c"), b'{"kind":"threads"}\n', 1, 0)
    part.add_loose(b'{"kind":"cron"}')
    part.add_large(entry("d"), iter(lines(1, 3)), hashlib.sha256())
    part.finish()
    assert part.records == {
        "checkpoint": 4,
        "run": 2,
        "thread": 2,
        "threads": 1,
        "cron": 1,
    }


def test_a_thread_that_breaks_off_leaves_the_compressor_usable(compressor: Compressor) -> None:
    """Nothing of it is at work any more when the error is heard of."""

    def broken() -> Iterator[bytes]:
        for number in range(20):
            yield b'{"kind":"checkpoint","n":"%s"}' % (b"%d" % number * 100_000)
        raise ThreadError("broken")

    with pytest.raises(ThreadError, match="broken"):
        Part(Kept(), "stem", compressor, 2000).add_large(entry("a"), broken(), hashlib.sha256())
    file = Kept()
    part = Part(file, "stem", compressor, 2000)
    part.add_large(entry("b"), iter(lines(1, 50)), hashlib.sha256())
    part.finish()
    assert stored(part, file.data) == [("b", b"".join(line + b"\n" for line in lines(1, 50)))]


def test_little_waits_in_memory(compressor: Compressor) -> None:
    """A few frames are under way, however many a part has."""
    part = Part(Kept(), "stem", compressor, frame_bytes=100)
    waiting = []
    for number in range(30):
        part.add_small(entry(str(number)), b'{"kind":"x"}\n' * 10, 10, 0)
        waiting.append(len(part._under_way))
    part.finish()
    assert max(waiting) == 3
    assert len(part.frames) == 30
