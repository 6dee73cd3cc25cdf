"""Bytes that nobody honest wrote: an error of lgx's own, nothing run, nothing hung."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import Document, decode, encode, names, packing, reading


def extension(code: int, payload: bytes) -> bytes:
    return packing.extension_header(code, len(payload)) + payload


def nested_extensions(levels: int, inner: bytes = b"\xc0") -> bytes:
    """Each the payload of the next, as many as asked for."""
    heads: list[bytes] = []
    size = len(inner)
    for _ in range(levels):
        head = packing.extension_header(0, size)
        heads.append(head)
        size += len(head)
    return b"".join(reversed(heads)) + inner


def attempts(kind: str, blob: bytes) -> None:
    """All that reads bytes, and no exception but lgx's own."""
    for read in (decode, names):
        message = "an error of lgx"
        try:
            read(kind, blob)
        except ThreadError as error:
            message = str(error)
        assert message[0].islower()
        assert "\n" not in message
    try:
        document = Document.parse(kind, blob)
        changes = {text: text.value for text in document.strings()}
        document.replaced(changes)
    except ThreadError:
        pass


UNSOUND = {
    "nothing": b"",
    "cut short in a text": b"\xa5abc",
    "cut short in a number": b"\xcb\x00",
    "cut short in a length": b"\xdb\x00\x00",
    "cut short in an array": b"\x92\x01",
    "cut short in a map": b"\x82\xa1a\x01\xa1b",
    "an array of four milliard elements": b"\xdd\xff\xff\xff\xff\xc0",
    "a map of four milliard pairs": b"\xdf\xff\xff\xff\xff\xc0",
    "a text of four gigabytes": b"\xdb\xff\xff\xff\xffabc",
    "bytes of four gigabytes": b"\xc6\xff\xff\xff\xffabc",
    "an extension of four gigabytes": b"\xc9\xff\xff\xff\xff\x05abc",
    "arrays in arrays that all announce too much": b"\xdd\x00\x0f\xff\xff" * 500 + b"\xc0" * 4096,
    "an extension without a value": b"\xc7\x00\x05",
    "an extension whose payload is cut short": extension(5, b"\x94\xa2os"),
    "an extension whose payload goes on": extension(0, b"\x93\xa2os\xa6system\xa2id\xc0"),
    "a payload that goes on into what follows": b"\x92" + extension(0, b"\xc0\xc0"),
    "an array in an extension that reaches beyond it": extension(0, b"\x93\xc0") + b"\xc0\xc0",
    "a byte that begins nothing": b"\xc1",
    "text that is not UTF-8": b"\xa2\xff\xfe",
    "a key that is not UTF-8": b"\x81\xa1\xff\x01",
    "a surrogate": b"\xa3\xed\xa0\x80",
    "something after the end": b"\xc0\xc0",
    "arrays 100 000 deep": b"\x91" * 100_000 + b"\xc0",
    "maps 100 000 deep": b"\x81\xa1a" * 100_000 + b"\xc0",
    "keys 100 000 deep": b"\x81" * 100_000 + b"\xc0" * 100_001,
    "extensions 100 000 deep": nested_extensions(100_000),
    "extensions 2 000 deep": nested_extensions(2000),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_unsound_bytes_are_a_thread_error(name: str) -> None:
    """One lowercase sentence that says where, for each way of reading them."""
    blob = UNSOUND[name]

    with pytest.raises(ThreadError, match=r"^a msgpack value is [^\n]*; copy the thread raw$"):
        decode("msgpack", blob)
    with pytest.raises(ThreadError, match=r"^a msgpack value is "):
        list(Document.parse("msgpack", blob).strings())


@pytest.mark.parametrize(
    ("blob", "where"),
    [
        (b"\x92\xc0\xa5abc", "at byte 2: a text of 5 bytes is announced and 3 follow"),
        (b"\x92\xc0\xa2a\xff", "at byte 4: a text is not UTF-8"),
        (b"\xdd\xff\xff\xff\xff\xc0", "at byte 0: it announces 4294967295 elements where 1 byte"),
        (b"\x92\xc0", "at byte 0: it announces 2 elements where 1 bytes follow"),
        (b"\xc0\xc0\xc0", "at byte 1: 2 bytes follow its end"),
        (b"\x91" + extension(0, b"\xc0\xc0"), "at byte 4: 1 bytes follow the value of an ext"),
        (b"\x92\xc0\xc1", "at byte 2: no value begins with the byte 0xc1"),
    ],
)
def test_the_error_says_where_and_what(blob: bytes, where: str) -> None:
    """So that somebody can look at the row."""
    with pytest.raises(ThreadError, match=where):
        decode("msgpack", blob)


def test_every_cut_of_a_sound_value_is_a_thread_error(dumped: Callable[..., Any]) -> None:
    """No prefix of a value is a value."""
    _, blob = dumped({"a": [1, {2, 3}], "b": b"xyz", "c": 1.5, "d": "é"})

    for size in range(len(blob)):
        with pytest.raises(ThreadError):
            decode("msgpack", blob[:size])


@pytest.mark.parametrize("levels", [1, 6, 7, 300, 1000])
def test_extensions_in_one_another_are_read_as_far_as_langgraph_goes(levels: int) -> None:
    """Without recursion, so no stack can end."""
    text = decode("msgpack", nested_extensions(levels))

    assert text == (b'{"__lgx__":"extension","code":0,"value":' * levels + b"null" + b"}" * levels)
    assert encode(text) == ("msgpack", nested_extensions(levels))


_STACK = """
import sys, threading
from lgx_plugins.checkpointers.serde import Document, decode, names
from lgx import ThreadError

def read():
    for read in (decode, names, lambda k, b: list(Document.parse(k, b).strings())):
        try:
            read("msgpack", blob)
        except ThreadError:
            pass
    print("done")

blob = sys.stdin.buffer.read()
threading.stack_size(4 << 20)
thread = threading.Thread(target=read)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("level", [b"\x91", b"\x81\xa1a", b"\xdd\0\0\0\1"])
@pytest.mark.parametrize("times", [2, 4, 100])
def test_half_the_usual_stack_is_enough(level: bytes, times: int) -> None:
    """Arrays as deep as ormsgpack follows them, and again in each of many extensions: its
    recursion would end the process."""
    blob = b"\xc0"
    for _ in range(times):
        blob = level * 1000 + extension(0, level * 1000 + blob)

    done = subprocess.run([sys.executable, "-c", _STACK], input=blob, capture_output=True)

    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_the_last_of_duplicate_keys_counts_and_none_escapes_the_search_for_texts() -> None:
    """As LangGraph loads it; but what a later key hides is still found and replaced."""
    blob = b"\x83\xa1a\xa3one\xa1b\x02\xa1a\xa3two"
    document = Document.parse("msgpack", blob)

    assert document.to_json() == b'{"a":"two","b":2}'
    assert reading.slow(blob) == b'{"a":"two","b":2}'
    assert [t.value for t in document.strings()] == ["a", "one", "b", "a", "two"]


@pytest.mark.parametrize("code", [-128, -1, 8, 127])
def test_an_unknown_extension_is_shown_and_comes_back(code: int) -> None:
    """LangGraph loads None in its place; its bytes stay."""
    blob = b"\x91" + extension(code, b"\xff\x00")
    expected = b'[{"__lgx__":"extension","code":%d,"data":"/wA="}]' % code

    assert decode("msgpack", blob) == expected
    assert reading.slow(blob) == expected
    assert encode(expected) == ("msgpack", blob)


_HARMLESS = """
import sys
from lgx_plugins.checkpointers.serde import Document, decode, encode, names
from lgx import ThreadError
import base64, orjson, ormsgpack, json, zoneinfo, uuid, decimal, re
decode("msgpack", b"\\x91\\xc0"), encode(b"[1.5]"), decode("json", b'{"a": [1.5, NaN]}')
list(Document.parse("json", b'{"a": 1}').strings())
if CONTROL:
    import logging
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    logging.disable()
    decode = lambda kind, blob: JsonPlusSerializer().loads_typed((kind, blob))
seen = []
sys.addaudithook(lambda event, args: seen.append((event, args)) if on else None)
on = False
for kind, blob in BLOBS:
    on = True
    for read in (decode, names, lambda k, b: list(Document.parse(k, b).strings())):
        try:
            read(kind, blob)
        except ThreadError:
            pass
    if not CONTROL:
        try:
            encode(decode(kind, blob))
        except ThreadError:
            pass
    on = False
print(sorted({event for event, _ in seen}))
"""


def test_nothing_that_the_data_names_is_imported_opened_or_run() -> None:
    """Python's audit hook sees imports, files, processes and code: there are none."""

    def call(code: int, *parts: object) -> bytes:
        import ormsgpack

        return extension(code, ormsgpack.packb(parts))

    blobs = [
        ("msgpack", call(0, "os", "system", "true")),
        ("msgpack", call(1, "os", "system", ["true"])),
        ("msgpack", call(1, "subprocess", "Popen", [["true"]])),
        ("msgpack", call(2, "antigravity", "x", {})),
        ("msgpack", call(3, "pathlib", "Path", "/lgx-was-here", "touch")),
        ("msgpack", call(4, "this", "s", {})),
        ("msgpack", call(5, "turtle", "Pen", {}, "model_validate_json")),
        ("msgpack", call(0, "re", "compile", "(a+)+$" * 1000)),
        ("msgpack", call(0, "zoneinfo", "ZoneInfo", "../../etc/passwd")),
        ("msgpack", call(0, "decimal", "Decimal", "1e999999999999")),
        ("msgpack", extension(6, b"\x94\xa2|O\x91\x01\xa1C\xc4\x08" + b"\1" * 8)),
        ("pickle", b"cos\nsystem\n(S'true'\ntR."),
        ("json", b'{"lc": 2, "type": "constructor", "id": ["os", "system"], "args": ["id"]}'),
        ("json", b'{"lc": 1, "type": "secret", "id": ["HOME"]}'),
    ]

    def events(control: bool, blobs: list[tuple[str, bytes]]) -> str:
        done = subprocess.run(
            [sys.executable, "-c", f"BLOBS = {blobs!r}\nCONTROL = {control}\n{_HARMLESS}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        return done.stdout

    assert events(False, blobs) == "[]\n"
    # That the hook does see such things: harmless ones, loaded by LangGraph itself.
    seen = events(True, [("msgpack", call(5, "tabnanny", "x", {}, "x")), blobs[0]])
    assert "'exec'" in seen
    assert "'os.system'" in seen


_MEMORY = """
import sys
from lgx_plugins.checkpointers.serde import Document, decode, names
from lgx import ThreadError

def peak():
    return int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])

decode("msgpack", b"\\x91\\xc0")
blob = sys.stdin.buffer.read()
before = peak()
for read in (decode, names, lambda k, b: sum(1 for _ in Document.parse(k, b).strings())):
    try:
        read("msgpack", blob)
    except ThreadError:
        pass
print(peak() - before)
"""


@pytest.mark.parametrize(
    "blob",
    [
        b"\xdd\x00\x20\x00\x00" + b"\xc0" * (1 << 21),
        b"\xdd\x00\x07\xa1\x20" + b"\x90" * 500_000,
        b"\x91" * 1000 + b"\xdd\x00\x07\xa1\x20" + b"\xa0" * 500_000,
        nested_extensions(1000, b"\xc6\x00\x20\x00\x00" + b"\0" * (1 << 21)),
        extension(6, b"\x94\xa1a\x90\xa1C\xc6\x00\x20\x00\x00" + b"\0" * (1 << 21)),
    ],
    ids=["nils", "arrays", "deep", "copies", "numbers"],
)
def test_memory_is_a_small_multiple_of_the_bytes(blob: bytes) -> None:
    """At most 100 MB more for two megabytes that hold as many values as there can be."""
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY], input=blob, capture_output=True, check=True
    )

    assert int(done.stdout) < 100_000


# -- fuzzing -------------------------------------------------------------------------


def _agrees(blob: bytes) -> None:
    """One value, in any msgpack: all that must hold of it."""
    document = Document.parse("msgpack", blob)
    try:
        slow = reading.slow(blob)
    except ThreadError:
        assert reading.fast(blob) is None
        attempts("msgpack", blob)
        return
    assert reading.fast(blob) in (None, slow)
    assert document.to_json() == slow
    kind, again = encode(slow)
    assert decode(kind, again) == slow
    assert document.encoded(slow) == ("msgpack", blob)
    assert document.replaced({}) == blob
    texts = list(document.strings())
    values = [t for t in texts if not t.is_key]
    changed = document.replaced({t: f"{t.value}+" * 9 for t in values})
    after = [t for t in Document.parse("msgpack", changed).strings() if not t.is_key]
    assert [t.value for t in after] == [f"{t.value}+" * 9 for t in values]
    assert [t.path for t in after] == [t.path for t in values]
    back = Document.parse("msgpack", changed).replaced(
        {new: old.value for new, old in zip(after, values, strict=True)}
    )
    assert decode("msgpack", back) == slow
    names("msgpack", blob)


@pytest.fixture(
    params=[300, pytest.param(10_000, marks=pytest.mark.nightly)], ids=["short", "long"]
)
def examples(request: pytest.FixtureRequest) -> int:
    """How many a fuzzing test tries."""
    count: int = request.param
    return count


def test_any_msgpack_is_read_one_way_and_comes_back(
    examples: int, msgpack_values: st.SearchStrategy[bytes]
) -> None:
    """Both roads agree; what is encoded again says the same; replacing texts touches only them."""

    @settings(max_examples=examples)
    @given(blob=msgpack_values)
    def check(blob: bytes) -> None:
        _agrees(blob)

    check()


def test_damaged_msgpack_raises_nothing_else(
    examples: int, msgpack_values: st.SearchStrategy[bytes]
) -> None:
    """Bytes changed, cut out and put in, anywhere."""

    @settings(max_examples=examples)
    @given(
        blob=msgpack_values,
        at=st.floats(0, 1),
        cut=st.integers(0, 3),
        put=st.binary(max_size=3),
    )
    def check(blob: bytes, at: float, cut: int, put: bytes) -> None:
        place = int(at * len(blob))
        _agrees(blob[:place] + put + blob[place + cut :])

    check()


def test_any_bytes_of_any_type_raise_nothing_else(examples: int) -> None:
    """Whatever stands in the column of the type."""
    kinds = st.sampled_from(
        ["msgpack", "json", "null", "empty", "bytes", "bytearray", "pickle", "", "msgpack+aes"]
    )

    @settings(max_examples=examples)
    @given(kind=st.one_of(kinds, st.text(max_size=5)), blob=st.binary(max_size=40))
    def check(kind: str, blob: bytes) -> None:
        attempts(kind, blob)

    check()


def test_any_text_is_neutral_json_or_a_thread_error(examples: int) -> None:
    """`encode` is as strict as `decode`: tags with other fields than theirs are refused."""
    words = (
        "bytes float object map uuid decimal set date time timedelta numpy send interrupt "
        "constructor method pydantic extension empty bytearray nonsense"
    )
    tags = st.sampled_from(words.split())
    scalars = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), tags
    )
    fields = "value data code module name arg args kwargs method node days"
    keys = st.sampled_from(fields.split())

    def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(
            st.lists(inner, max_size=3),
            st.builds(
                lambda tag, fields: {"__lgx__": tag, **fields},
                st.one_of(tags, inner),
                st.dictionaries(keys, inner, max_size=4),
            ),
        )

    @settings(max_examples=examples)
    @given(value=st.recursive(scalars, objects, max_leaves=6))
    def check(value: Any) -> None:
        import json

        try:
            kind, blob = encode(json.dumps(value).encode())
        except ThreadError:
            return
        again = encode(decode(kind, blob))
        assert again == (kind, blob)

    check()
