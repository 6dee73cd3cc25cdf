"""What messages add for the one who reads them: the name that was meant, a remedy."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

__all__ = ["closest", "unreadable"]

_WHY = {
    errno.ENOENT: "does not exist; correct the path",
    errno.ENOTDIR: "cannot be reached: a part of the path is not a directory; correct the path",
    errno.EISDIR: "is a directory; name a file",
    errno.EACCES: "cannot be read: permission denied; change its mode, or run as its owner",
    errno.ELOOP: "lies behind a loop of symbolic links; name the file itself",
    errno.ENAMETOOLONG: "has too long a name; correct the path",
}


def closest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` where a known name looks like the given one, else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def unreadable(error: OSError | UnicodeDecodeError) -> str:
    """The end of a sentence that begins with a file's name: why it cannot be read, and the
    remedy."""
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text; save it as UTF-8"
    why = _WHY.get(error.errno or 0)
    words = (error.strerror or type(error).__name__).lower()
    return why or f"cannot be read: {words}; see to that and run again"
