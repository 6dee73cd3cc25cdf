"""JSON at its edges and texts that break careless programs, through every sink and its source.

Equal in the canonical form, or refused with a clear message; never dropped, never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Raw

from lgx import (
    Assistant,
    Checkpoint,
    Cron,
    Record,
    Run,
    StoreItem,
    Thread,
    UnknownRecord,
    UsageError,
    Use,
    canonical,
    encode_line,
    raw,
    run_async,
    use,
)

_NUMBERS = """
0 -0 0.0 -0.0 0e0 -0E-0 1 -1 1.0 1.10 1E+2 1e2 1e-2 0.1 0.30000000000000004
0.1000000000000000055 1e400 -1e400 1e-400 1e9999 1e-9999 1e200000 1E-200000
9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775809
18446744073709551615 18446744073709551616 170141183460469231731687303715884105728
"""

NUMBERS = [
    *_NUMBERS.split(),
    "123456789012345678901234567890.123456789012345678901234567890",
    "1" + "0" * 5000,
    "0." + "0" * 2000 + "1",
    "1e" + "0" * 50 + "7",
]

NESTINGS = ["[" * depth + "]" * depth for depth in (1, 2, 100, 512, 1000, 1024)] + [
    '{"a":' * depth + "1" + "}" * depth for depth in (100, 1001)
]

ESCAPES = [
    r'"\u0000"',
    r'"a\u0000b\u0000"',
    r'"\\u0000"',
    r'"\\\u0000"',
    r'"\\\\u0000"',
    r'"\ud800"',
    r'"\udfff"',
    r'"\udc00\ud800"',
    r'"\ud800\ud800\udc00"',
    r'"\ud83d\ude00"',
    r'"\uD83D\uDE00"',
    r'"\\ud800"',
    r'"\ud83d x"',
    r'"\\\ud83d"',
    r'"\ufdd0"',
    r'"\uFDD00000"',
    r'"\ufdd0fdd0"',
    r'"\ufdd0\u0000"',
    r'"\ufdd0json:{}"',
    r'"\\ufdd0"',
    r'"\ufffe\uffff\ufeff"',
    r'"\/\b\f\n\r\t\"\\"',
    r'"\u0041\u00e9\u20ac"',
    r'"\u2028\u2029\u007f\u0080"',
    r'"\u001f\u0001"',
    '"\ufdd0"',
    '"\ufdd00000"',
    '"\ufdd0d800"',
    '"\ufdd0fdd00000"',
    '"\ufdd0json:1"',
    '"\ufdd0json:"',
    '"\ufdd1\ufdef\ufffe\uffff"',
    '"\x7f\x80\x9f\u2028\u2029\ufeff"',
    '"\U0010ffff\U0001f468\u200d\U0001f469\u200d\U0001f467"',
]

CONTAINERS = [
    "null",
    "true",
    "false",
    '""',
    "[]",
    "{}",
    "[[],{},[{}],null]",
    '{"":{"":{"":0}}}',
    '{"a":1,"a":2}',
    '{"a":{"b":1},"a":{"c":2,"c":3}}',
    r'{"a":1,"\u0061":2}',
    '{"b":1,"a":2,"aa":3,"B":4,"é":5}',
    r'{"\u0000":1,"\u0000\u0000":2}',
    r'{"\ud800":1,"\udfff":2}',
    r'{"\ufdd0":1,"\ufdd00000":2,"\u0000":3}',
    '{"\ufdd0json:":"\ufdd0json:1"}',
    '{"__proto__":1,"constructor":2,"$ref":"#","__class__":"os.system"}',
    '{"lc":1,"type":"constructor","id":["os","system"],"kwargs":{"command":"true"}}',
    '{"kind":"thread","thread_id":"other"}',
    ' [ 1 ,\t{ "a" :\r\n[ ] } ] ',
    '"' + "\\u0000" * 500 + '"',
    '"' + "😀" * 5000 + '"',
]

LARGE = [
    "-" + "9" * 140_000,
    "[" * 3000 + "]" * 3000,
    "[" * 20_000 + "]" * 20_000,
    '{"a":' * 6500 + "1" + "}" * 6500,
    "[" + ",".join("1" for _ in range(20_000)) + "]",
    "{" + ",".join(f'"k{n}":{n}' for n in range(5000)) + "}",
    '"' + "x" * 3_000_000 + '"',
    '"' + "\\u0000" * 50_000 + '"',
    '"' + "\\\\" * 100_000 + '"',
    "{" + f'"{"k" * 100_000}":1' + "}",
]

TEXTS = [*NUMBERS, *NESTINGS, *ESCAPES, *CONTAINERS]

STRINGS = [
    *("", " ", "  padded  ", "\t", "\n", "\r\n", "a\nb", "\x00", "a\x00b", "\x00\x00", "\x01\x1f"),
    *("\x7f", "\x80\x9f", "\x1b[31mred", "\u200b", "\u00a0", "\u2028", "\ufeff", "\uffff"),
    *("\ufdd0", "\ufdd00000", "\ufdd0fdd0", "\ufdd0json:1", "\ufdd0\x00", "\ud7ff", "\ue000"),
    *("null", "NULL", "None", "undefined", "nil", "true", "NaN", "-Infinity", "0", "-0", "1e400"),
    *("0x10", "1,000", "1/0", "\uff12", "\u0663", "².5", "18446744073709551616"),
    *("'", '"', "`", "''", '""', "\\", "\\\\", "\\'", "\\0", "\\x00", "\\u0000", "$", "$1", "%"),
    *("%s", "%00", "%2e%2e%2f", "{}", "{0}", "${HOME}", "$(true)", "`true`", "{{7*7}}", "<%= 7 %>"),
    *(":name", "?", "@x", "#", ";", "--", "/*", "*/", "\\.", "\\N", "E'\\x41'", "$$", "$a$x$a$"),
    "'; DROP TABLE langgraph_threads; --",
    "' OR '1'='1",
    '"; DROP SCHEMA public CASCADE; --',
    "x'); DELETE FROM langgraph_checkpoints; --",
    "1; SELECT pg_sleep(60)",
    "<script>alert(1)</script>",
    "]]>",
    "<!--",
    "&lt;&#0;",
    "${jndi:ldap://127.0.0.1/a}",
    "() { :;}; true",
    "=1+1",
    "@SUM(1)",
    *(".", "..", "/", "//", "a/b", "../../etc/passwd", "/etc/passwd", "a/../b", "a//b", "a/", "~"),
    *("..\\..\\x", "C:\\x", "\\\\host\\share", "CON", "NUL", "aux.txt", "file.", ".hidden", "-rf"),
    *("--sink-path", "*", "?*[a]", "a:b", "a|b", "a>b", "a&b", "manifest.json", "header", "lgx"),
    *("thread", "SELECT", "select", "values", "public", "pg_catalog", "information_schema"),
    *("é", "e\u0301", "\u00c5", "A\u030a", "ß", "\u1e9e", "\u0130", "\u0131", "\ufb00"),
    *("\u03a9", "\u212a", "café", "CAFÉ", "x" * 63),
    *("日本語", "田中さんにあげて下さい", "ﷺ", "العربية", "שלום"),
    *("\u202eevil\u202c", "\u2066a\u2069"),
    *("Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞", "👩🏽‍💻", "🏳️‍🌈", "🇩🇪", "👾" * 80, "\U0010ffff", "\U000e0001"),
    *("x" * 255, "x" * 256, "x" * 300, "x" * 299 + "y", "é" * 150, "\x00" * 300, "/" * 300),
    "A" * 5000,
]  # fmt: skip


def write(path: Path, records: Sequence[Record]) -> Use:
    """A file of these records, as they are."""
    header = b'{"kind":"header","format":"lgx-ndjson","version":1,"source":"naughty"}\n'
    path.write_bytes(header + b"".join(encode_line(record) + b"\n" for record in records))
    return use("ndjson", path=path)


def forms(path: Path) -> list[bytes]:
    return sorted(map(canonical, path.read_bytes().splitlines()[1:]))


async def through(target: Use, records: Sequence[Record], folder: Path) -> None:
    """Everything arrives in the target, and comes out of it as it went in; a second run finds
    nothing to do where marks are kept."""
    source = write(folder / "in.ndjson", records)
    report = await run_async(source, target)
    assert [(f.thread_id, f.why[:300]) for f in report.failures] == []
    assert [(loss.thread_id, loss.what[:300], loss.why[:300]) for loss in report.losses] == []
    assert report.exit_code == 0
    if target.name not in ("json", "ndjson"):
        again = await run_async(source, target)
        assert (again.threads.written, again.exit_code) == (0, 0)
    reading = use(target.name, **{k: v for k, v in target.options.items() if k != "layout"})
    back = await run_async(reading, use("ndjson", path=folder / "back.ndjson"))
    assert back.exit_code == 0, (back.failures, back.losses)
    came, went = forms(folder / "back.ndjson"), forms(folder / "in.ndjson")
    assert [form[:500] for form in went if form not in set(came)] == []
    assert [form[:500] for form in came if form not in set(went)] == []
    assert len(came) == len(went)


async def test_json_at_its_edges_is_kept(target: Use, tmp_path: Path) -> None:
    """As every field that holds JSON, in every kind of record."""
    records: list[Record] = []
    for number, text in enumerate(TEXTS):
        thread_id, value = f"t{number:03}", Raw(text.encode("utf-8", "surrogatepass"))
        records += [
            Thread(
                thread_id=thread_id,
                metadata=value,
                values=value,
                interrupts=value,
                config=value,
                extra={"more": value},
            ),
            Checkpoint(
                thread_id=thread_id,
                checkpoint_ns="",
                checkpoint_id="c1",
                values=value,
                next=value,
                tasks=value,
                metadata=value,
                interrupts=value,
                extra={"more": value},
            ),
            Checkpoint(
                thread_id=thread_id,
                checkpoint_ns="",
                checkpoint_id="c2",
                parent_checkpoint_id="c1",
                values=Raw(b'{"channel":' + bytes(value) + b',"list":[' + bytes(value) + b"]}"),
            ),
            Run(thread_id=thread_id, run_id="r", extra={"more": value}),
        ]
    await through(target, records, tmp_path)


async def test_large_json_is_kept(target: Use, tmp_path: Path) -> None:
    """Numbers, nestings, keys and texts past the limits of some parser."""
    records: list[Record] = []
    for number, text in enumerate(LARGE):
        thread_id, value = f"t{number:03}", Raw(text.encode())
        records += [
            Thread(thread_id=thread_id, metadata=value, extra={"more": value}),
            Checkpoint(thread_id=thread_id, checkpoint_ns="", checkpoint_id="c", values=value),
        ]
    await through(target, records, tmp_path)


async def test_json_of_extras_at_its_edges_is_kept(target: Use, tmp_path: Path) -> None:
    """In assistants, crons and store items."""
    records: list[Record] = [Thread(thread_id="t")]
    for number, text in enumerate(TEXTS):
        key, value = f"k{number:03}", Raw(text.encode())
        records += [
            Assistant(assistant_id=key, version=1, extra={"config": value}),
            Cron(cron_id=key, extra={"payload": value}),
            StoreItem(namespace=("n",), key=key, value=value, extra={"more": value}),
        ]
    await through(target, records, tmp_path)


async def test_naughty_strings_are_kept(target: Use, tmp_path: Path) -> None:
    """As ids of threads, checkpoints, namespaces and runs, as keys and values of metadata, as
    times and statuses that are none, as fields that nobody knows."""
    records: list[Record] = []
    for number, text in enumerate(STRINGS):
        other = f"t{number:03}"
        known = text in {"thread_id", "checkpoint_id", "values", "kind", "metadata", "config"}
        field = f"{text} " if known or text in ("next", "tasks", "interrupts", "status") else text
        records += [
            Thread(thread_id=f"{text}", status="idle", metadata=raw({text: text})),
            Checkpoint(thread_id=text, checkpoint_ns="", checkpoint_id="c", values=raw(text)),
            Thread(
                thread_id=other,
                status=text,
                created_at=text,
                updated_at=text,
                values=raw({text: {text: [text, {text: None}]}}),
                extra={field: raw({text: text})},
            ),
            Checkpoint(
                thread_id=other,
                checkpoint_ns=text,
                checkpoint_id=text,
                parent_checkpoint_id=f"{text}-",
                created_at=text,
                next=raw([text]),
                values=raw({text: [text], "more": text}),
                extra={field: raw(text)},
            ),
            Run(thread_id=other, run_id=text, created_at=text, status=text),
            UnknownRecord(
                name=f"memo {text}",
                thread_id=other,
                body=raw({"kind": f"memo {text}", "thread_id": other, f"x {text}": text}),
            ),
        ]
    await through(target, records, tmp_path)


async def test_naughty_strings_of_extras_are_kept(target: Use, tmp_path: Path) -> None:
    """As ids and keys of what belongs to a deployment."""
    records: list[Record] = [Thread(thread_id="t")]
    for text in STRINGS:
        records += [
            Assistant(assistant_id=text, version=1, graph_id=text),
            Assistant(assistant_id=text, version=2, latest=False),
            Cron(cron_id=text, extra={"schedule": raw(text)}),
            StoreItem(namespace=(text, "a"), key=text, value=raw({text: text}), created_at=text),
            StoreItem(namespace=(text,), key=f"a{text}", value=raw(text)),
        ]
    await through(target, records, tmp_path)


NAMES = [
    *(" ", "a b", "'", '"', '""', "`", "\\", "$1", "%s", "%00", ";", "--", "/*", "a.b", ".", ".."),
    *("/", "a/b", "../x", "//", "?", "#x", "a%2Fb", "+", "=", "&", "*", "~", "{}", "x; DROP y; --"),
    *("\t", "\n", "\x01", "\x7f", "\u2028", "\ufdd0", "é", "e\u0301", "日本語", "😀", "\u202ex"),
    *("SELECT", "values", "PUBLIC", "x" * 30, "x" * 63, "x" * 64, "é" * 40, "x" * 2000),
    *("", "\x00", "a\x00b", "pg_x", "sqlite_x", "-rf", "manifest.json"),
]  # fmt: skip

KEPT: Sequence[Record] = (
    Thread(thread_id="t", metadata=raw({"n": 1})),
    Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c", values=raw({"n": 1})),
)


async def refused(make: Any, folder: Path, names: Sequence[str], *options: str) -> dict[str, str]:
    """Why some of these are refused; the others hold what they are given, and it alone."""
    found = {}
    source = write(folder / "in.ndjson", KEPT)
    for name in names:
        target = make(**dict.fromkeys(options, name))
        try:
            report = await run_async(source, target)
        except UsageError as error:
            found[name] = str(error)
            continue
        assert (report.exit_code, report.threads.written) == (0, 1), (name, report.failures)
        await run_async(target, use("ndjson", path=folder / "back.ndjson"))
        assert forms(folder / "back.ndjson") == forms(folder / "in.ndjson"), name
    return found


CHARACTER = "holds a character that no"


async def test_names_of_schemas(postgres_target: Any, tmp_path: Path) -> None:
    """What PostgreSQL would cut, keep for itself or not take is said before anything is made."""
    assert await refused(postgres_target, tmp_path, NAMES, "schema") == {
        "": "schema '' is no name; leave the option out for the schema public",
        "pg_x": "schema 'pg_x' is reserved by PostgreSQL; choose one that does not begin with pg_",
        **{
            name: f"schema {name!r} holds a character that no name can; drop it"
            for name in ("\x00", "a\x00b")
        },
        **{
            name: f"schema {name!r} has {len(name.encode())} bytes, and PostgreSQL's names leave "
            "it 63; shorten it"
            for name in ("x" * 64, "é" * 40, "x" * 2000)
        },
    }


async def test_names_of_tables(postgres_target: Any, tmp_path: Path) -> None:
    """Each prefix has tables of its own in the schema."""
    assert await refused(postgres_target, tmp_path, NAMES, "table_prefix") == {
        **{
            name: f"table-prefix {name!r} holds a character that no name can; drop it"
            for name in ("\x00", "a\x00b")
        },
        **{
            name: f"table-prefix {name!r} has {len(name.encode())} bytes, and PostgreSQL's names "
            "leave it 38; shorten it"
            for name in ("x" * 63, "x" * 64, "é" * 40, "x" * 2000)
        },
    }


async def test_names_of_tables_in_sqlite(tmp_path: Path) -> None:
    """SQLite sets no bound to their length."""

    def make(**options: str) -> Use:
        return use("sqlite", path=tmp_path / "t.db", **options)

    assert await refused(make, tmp_path, NAMES, "table_prefix") == {
        "sqlite_x": "table-prefix 'sqlite_x' is reserved by SQLite; choose one without sqlite_",
        **{
            name: f"table-prefix {name!r} holds a character that no table name can; drop it"
            for name in ("\x00", "a\x00b")
        },
    }


async def test_prefixes_of_keys(s3_target: Any, tmp_path: Path) -> None:
    """Slashes at the ends do not count: those that begin or end so name the place of others."""
    names = [name for name in NAMES if name and name == name.strip("/")]
    found = await refused(s3_target, tmp_path, names, "prefix")
    wrong = ["\x00", "\x01", "\t", "\n", ".", "..", "../x", "a\x00b", "x" * 2000, "\x7f"]
    assert sorted(found) == sorted(wrong)
    remedies = ("; leave it out", "; write the prefix itself", ": choose one of 960 at most")
    assert [why for why in found.values() if not why.endswith(remedies)] == []
