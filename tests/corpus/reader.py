"""Reads the corpus: texts with planted values, clean texts, and machine-made ids without end.

Imports nothing but the standard library, so that tests and benchmarks load it as they like
(README.md shows how).
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["ENTITIES", "Clean", "Item", "Span", "clean", "intact", "machine_made", "planted"]

ENTITIES = (
    "email",
    "phone",
    "credit_card",
    "iban",
    "us_ssn",
    "uk_nino",
    "es_nif",
    "it_codice_fiscale",
    "fr_nir",
    "de_steuer_id",
    "br_cpf",
    "in_aadhaar",
    "in_pan",
    "ip",
    "mac",
    "url_credentials",
    "crypto_wallet",
    "date_of_birth",
    "api_key",
    "jwt",
    "private_key",
    "connection_password",
)

_HERE = Path(__file__).parent
_VERSION = 1


class Span(NamedTuple):
    """Where a planted value stands, in code points of its text.

    Attributes:
        start: with `end`, what has to be covered.
        outer_start: with `outer_end`, what may be covered besides: the whole URL around a
            password, an extension behind a phone number. Often the same.
        value: what stands there, without the form in which it was written.
    """

    entity: str
    start: int
    end: int
    outer_start: int
    outer_end: int
    value: str


class Item(NamedTuple):
    """A text in which every value of an entity is marked by a span, in their order.

    Attributes:
        lang: ISO 639 of the words around the values.
        form: how the values are written: `plain`, `url-encoded`, `json-in-string`, ...
    """

    id: str
    lang: str
    form: str
    text: str
    spans: tuple[Span, ...]


class Clean(NamedTuple):
    """A text without any value of an entity; `sort` says what it holds that looks like one."""

    id: str
    lang: str
    sort: str
    text: str


def planted(version: int = _VERSION) -> list[Item]:
    """The texts that hold something to find."""
    return [
        _item(row)
        for name in ("planted.ndjson", "planted-secrets.ndjson")
        for row in _rows(version, name)
    ]


def clean(version: int = _VERSION) -> list[Clean]:
    """The texts that hold nothing to find."""
    return [Clean(**row) for row in _rows(version, "clean.ndjson")]


def intact(version: int = _VERSION) -> bool:
    """Whether the files are the ones that were frozen."""
    folder = _folder(version)
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "SHA256SUMS"
    }
    return found == sums


def machine_made(count: int = 200_000, seed: int = 1) -> Iterator[str]:
    """Ids, timestamps and numbers as machines make them, the same for the same seed.

    None has a word beside it that would make it a value of an entity. A bare number that has the
    length, the first digit and the check digit of a payment card could be one, and is left out.
    """
    draw = random.Random(seed)
    makers = (
        _uuid4,
        _uuid6,
        _iso,
        _epoch,
        _integer,
        _float,
        _hexadecimal,
        _token,
        _channel_version,
        _namespace,
        _semantic_version,
        _stamp,
    )
    made = 0
    while made < count:
        text = makers[made % len(makers)](draw)
        if not _could_be_card(text):
            made += 1
            yield text


def _folder(version: int) -> Path:
    return _HERE / f"v{version}"


def _rows(version: int, name: str) -> Iterator[dict[str, Any]]:
    with (_folder(version) / name).open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _item(row: dict[str, Any]) -> Item:
    spans = []
    for span in row["spans"]:
        start, end = span["start"], span["end"]
        outer_start, outer_end = span.get("outer", (start, end))
        value = _joined(span["value"])
        spans.append(Span(span["entity"], start, end, outer_start, outer_end, value))
    return Item(row["id"], row["lang"], row["form"], _joined(row["text"]), tuple(spans))


def _joined(text: str | list[str]) -> str:
    """Secrets are kept in pieces, for scanners would take them for real ones."""
    return text if isinstance(text, str) else "".join(text)


def _uuid4(draw: random.Random) -> str:
    return str(uuid.UUID(int=draw.getrandbits(128), version=4))


def _uuid6(draw: random.Random) -> str:
    """As ids of checkpoints: the time comes first."""
    ticks = int(_moment(draw).timestamp() * 10**7) + 0x01B21DD213814000
    high = ticks >> 12 << 16 | 0x6000 | ticks & 0xFFF
    return str(uuid.UUID(int=high << 64 | 2 << 62 | draw.getrandbits(62)))


def _moment(draw: random.Random) -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=draw.randrange(3 * 10**14))


def _iso(draw: random.Random) -> str:
    moment = _moment(draw)
    return draw.choice(
        (
            moment.isoformat(),
            moment.isoformat().replace("+00:00", "Z"),
            moment.isoformat(" ", "milliseconds").replace("+00:00", ""),
            moment.strftime("%Y-%m-%dT%H:%M:%S+0530"),
            moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        )
    )


def _epoch(draw: random.Random) -> str:
    scale = draw.choice((1, 10**3, 10**6, 10**9))
    seconds = _moment(draw).timestamp()
    return f"{seconds:.6f}" if draw.random() < 0.2 else str(int(seconds * scale))


def _integer(draw: random.Random) -> str:
    return str(draw.randrange(10 ** draw.randint(1, 20)))


def _float(draw: random.Random) -> str:
    return repr(draw.uniform(-1, 1) * 10 ** draw.randint(-8, 12))


def _hexadecimal(draw: random.Random) -> str:
    return f"{draw.getrandbits(512):0128x}"[: draw.choice((7, 8, 12, 16, 24, 32, 40, 56, 64, 96))]


def _token(draw: random.Random) -> str:
    """Nothing of these is a secret: ids of messages, calls, runs and requests."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    prefix = draw.choice(("call_", "toolu_01", "msg_", "chatcmpl-", "req_", "run-", "lc_", "sku-"))
    return prefix + "".join(draw.choices(letters, k=draw.choice((12, 22, 24, 29))))


def _channel_version(draw: random.Random) -> str:
    return f"{draw.randint(1, 3000):032}.0.{draw.randrange(10**16):016}"


def _namespace(draw: random.Random) -> str:
    names = ("agent", "tools", "model", "research", "write")
    return "|".join(f"{draw.choice(names)}:{_uuid4(draw)}" for _ in range(draw.randint(1, 2)))


def _semantic_version(draw: random.Random) -> str:
    text = f"{draw.randint(0, 40)}.{draw.randint(0, 99)}.{draw.randint(0, 999)}"
    return draw.choice(
        (text, f"v{text}", f"{text}rc{draw.randint(1, 9)}", f"{text}+{draw.getrandbits(32):x}")
    )


def _stamp(draw: random.Random) -> str:
    moment = _moment(draw)
    return draw.choice(
        (
            moment.strftime("%Y%m%dT%H%M%SZ"),
            moment.strftime("%Y%m%d%H%M%S"),
            moment.strftime("%Y%m%d-%H%M%S-%f"),
            moment.strftime("%H:%M:%S.%f"),
            moment.strftime("%Y-%m-%d"),
            f"PT{moment.hour}H{moment.minute}M{moment.second}.{moment.microsecond:06}S",
        )
    )


def _could_be_card(text: str) -> bool:
    if not (text.isdecimal() and 13 <= len(text) <= 19 and text[0] in "23456"):
        return False
    doubled = (int(digit) * 2 for digit in text[-2::-2])
    total = sum(n - 9 if n > 9 else n for n in doubled) + sum(map(int, text[-1::-2]))
    return total % 10 == 0
