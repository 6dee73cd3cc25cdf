"""The manifest: what an archive consists of, and the checksum by which it knows itself."""

from __future__ import annotations

import hashlib
import re

import msgspec
from msgspec import UNSET, Struct, UnsetType

from lgx import IntegrityError, UsageError

__all__ = [
    "DATA_SUFFIX",
    "FORMAT",
    "VERSION",
    "Manifest",
    "PartInfo",
    "batch_of",
    "check_parts",
    "decode_manifest",
    "encode_manifest",
    "is_part_file",
]

FORMAT = "lgx-archive"
VERSION = 1
DATA_SUFFIX = ".ndjson.zst"

_STEM = re.compile(r"([0-9]{8})-([0-9]{4,})-[0-9a-f]{16}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHECKSUM = re.compile(rb'"checksum": "([0-9a-f]{64})"\n\}\n\Z')
_BLANK = b"0" * 64
_END = b'"\n}\n'


class PartInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part: a file of records, and beside it the index of the threads in it.

    Attributes:
        name: of both files, without `.ndjson.zst` and `.index.zst`; made from batch,
            number in the batch and digest, or in place of this from random digits.
        batch: parts of one batch were committed together, and count only together.
        written_at: when; the same for a whole batch, and never before an earlier one's.
        source: identity of the source that the records come from.
        bytes: of the records, before compression.
        threads: entries in the index.
        records: how many, by kind.
        extras: the kind of the deployment's own records that it holds in place of threads.
        whole: whether these extras replace those of earlier batches, or are added to them.
    """

    name: str
    batch: int
    written_at: str
    source: str
    size: int
    sha256: str
    index_size: int
    index_sha256: str
    bytes: int
    threads: int = 0
    records: dict[str, int] = {}
    extras: str | None = None
    whole: bool = True

    @property
    def data_name(self) -> str:
        return self.data_name_of(self.name)

    @staticmethod
    def data_name_of(name: str) -> str:
        return name + DATA_SUFFIX

    @property
    def index_name(self) -> str:
        return f"{self.name}.index.zst"


class Manifest(Struct, frozen=True, kw_only=True):
    """All of an archive at the end of a run.

    Attributes:
        lgx: the version that wrote this manifest.
        archive: a UUID, made when the archive was.
        finished_at: when the last run that came to its end did, None where none has yet; old
            archives do not say. Another run may have begun since: see `is_finished`.
        generation: counts manifests; the journal of what came after bears this number.
        sources: identities of the sources whose records are held.
        versions: what the last run said of itself and of its source.
        encryption: null; another value means that a newer lgx is needed.
    """

    format: str = FORMAT
    version: int = VERSION
    lgx: str
    archive: str
    created_at: str
    updated_at: str
    finished_at: str | UnsetType | None = UNSET
    generation: int
    sources: tuple[str, ...] = ()
    versions: dict[str, str] = {}
    encryption: None = None
    parts: tuple[PartInfo, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether the run that wrote it came to its end, as far as can be told."""
        return self.finished_at is UNSET or self.finished_at == self.updated_at


class _Head(Struct):
    format: str
    version: int
    lgx: str = "?"
    encryption: object = None


def encode_manifest(manifest: Manifest) -> bytes:
    """The text of `manifest.json`, which ends with a checksum of all of it: SHA-256, taken
    with 64 zeros in its own place."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1).removesuffix(b"\n}")
    text += b',\n "checksum": "'
    digest = hashlib.sha256(text + _BLANK + _END).hexdigest().encode()
    return text + digest + _END


def decode_manifest(data: bytes, place: str) -> Manifest:
    """A manifest from its text.

    Raises:
        IntegrityError: it is not what was written.
        UsageError: a newer version wrote it, or it is another format.
    """
    match = _CHECKSUM.search(data)
    if match:
        blank = data[: match.start(1)] + _BLANK + data[match.end(1) :]
        if hashlib.sha256(blank).hexdigest().encode() != match[1]:
            match = None
    if match is None:
        raise IntegrityError(
            f"manifest.json of archive {place!r} is damaged, or none of lgx's: its checksum does "
            "not match; restore it from a copy, or make a new backup to another path"
        )
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format != FORMAT:
            raise UsageError(f"{place!r} is a {head.format!r}, not a {FORMAT!r}")
        if head.version > VERSION or head.encryption is not None:
            raise UsageError(
                f"archive {place!r} has format version {head.version} (written by lgx {head.lgx}); "
                f"this lgx reads up to {VERSION}, without encryption: upgrade lgx"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise IntegrityError(f"manifest.json of archive {place!r} is malformed: {error}") from error
    check_parts(manifest.parts, place)
    return manifest


def check_parts(parts: tuple[PartInfo, ...], place: str) -> None:
    """Refuses names that this format never gives: they become names of files."""
    for part in parts:
        match = _STEM.fullmatch(part.name)
        if not match or int(match[1]) != part.batch or not _DIGEST.fullmatch(part.sha256):
            raise IntegrityError(f"archive {place!r} lists a part with the name {part.name!r}")


def batch_of(name: str) -> int | None:
    """The batch of a part by the name of one of its files; None for other files."""
    stem, _, suffix = name.partition(".")
    match = _STEM.fullmatch(stem)
    return int(match[1]) if match and suffix in ("ndjson.zst", "index.zst") else None


def is_part_file(name: str) -> bool:
    """Whether a file claims to be one of a part."""
    return name.endswith((".ndjson.zst", ".index.zst"))
