"""Writing a small object under the condition that nobody else has, until it arrived as sent."""

from __future__ import annotations

from contextlib import suppress

from lgx import LgxError, UsageError
from lgx_plugins.s3.objects import Objects, SpoiledError

__all__ = ["ConflictError", "check_conditions", "write_object"]

_TRIES = 5


class ConflictError(Exception):
    """Another writer was there first: the condition of a write did not hold."""


def write_object(
    objects: Objects, name: str, data: bytes, *, match: str | None, former: bytes | None
) -> str:
    """Writes a small object if it is still the one that was read; its new ETag.

    Bytes that changed on their way are replaced by the right ones, as often as any request is
    tried. Where that does not help, what stood there before is put back.

    Args:
        match: the ETag of what it is to replace; None where there must not be any.
        former: what that holds; None where there is none.

    Raises:
        ConflictError: it is not.
        FatalError: it never arrived as it was sent.
    """
    standing = match
    for _ in range(objects.attempts):
        try:
            return _write(objects, name, data, standing)
        except SpoiledError as error:
            standing = error.etag
    if former is not None:
        again = "what stood there before stands there again"
        otherwise = "nor could what stood there before be put back"
    else:
        again = "nothing stands there, as before"
        otherwise = "and it could not be removed"
    undone = _undo(objects, name, standing, former)
    raise objects.spoiled(name, again if undone else otherwise)


def _undo(objects: Objects, name: str, standing: str | None, former: bytes | None) -> bool:
    """Whether the place of an object that was spoiled is as it was before."""
    with suppress(LgxError, ConflictError):
        if former is None:
            return objects.remove_this(name, standing)
        for _ in range(objects.attempts):
            try:
                _write(objects, name, former, standing)
                return True
            except SpoiledError as error:
                standing = error.etag
    return False


def _write(objects: Objects, name: str, data: bytes, match: str | None) -> str:
    """Writes it once, whatever becomes of the answer.

    Raises:
        ConflictError: something else than `match` stands there.
        SpoiledError: other bytes arrived.
    """
    if not objects.conditional:
        found = objects.get(name)
        if (found and found.etag) != match:
            raise ConflictError
        etag = objects.try_put(name, data, {})
        if etag is None:
            raise ConflictError
        return etag
    condition = {"IfNoneMatch": "*"} if match is None else {"IfMatch": match}
    for _ in range(_TRIES):
        etag = objects.try_put(name, data, condition)
        if etag is not None:
            return etag
        found = objects.get(name)
        if found is not None and found.data == data:
            return found.etag  # written by a request whose answer was lost
        if (found and found.etag) != match:
            raise ConflictError
    raise ConflictError  # somebody else writes all the time


def check_conditions(objects: Objects, name: str) -> None:
    """Makes sure that the store heeds conditions of writes, on an object that is there.

    Raises:
        UsageError: it does not.
    """
    if not objects.conditional:
        return
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": f'"{"0" * 32}"'}):
        try:
            heeded = objects.try_put(name, b"a write that must fail", condition) is None
        except SpoiledError:
            heeded = False
        if not heeded:
            objects.remove(name)
            raise UsageError(
                f"the store of {objects.place.url!r} does not heed conditions of writes "
                "(If-None-Match, If-Match), which keep two runs apart; write to another one, "
                "or, where only one run at a time ever writes there, add "
                "--no-sink-conditional-writes"
            )
