"""Opening an input by what it holds, not by its name: compressed streams to their very end, archives and markup named.

A compressed file may be several streams one after the other, with padding between them; whatever follows the last one and is no
stream is damage, never the end of the data.
"""

from __future__ import annotations

import bz2
import json
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from pretrain.base.errors import UserError

BLOCK = 1 << 18
"""Bytes of a file read at a time."""
LONGEST_WINDOW = 1 << 31
"""Largest window of a zstandard frame that is read (`zstd --long=31` writes it)."""
LIMIT = "RELEXIFY_MAX_INPUT_BYTES"
"""Environment variable: most bytes that a task's file may unpack to."""
DEFAULT_LIMIT = 1 << 29
NAMES = {"gz": "gzip", "xz": "xz", "zst": "zstandard", "bz2": "bzip2", "parquet": "parquet"}
"""Kinds that are read, and what they are called."""
_MAGICS = ((b"\x1f\x8b", "gz"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zst"), (b"BZh", "bz2"), (b"PAR1", "parquet"),
           (b"PK\x03\x04", "zip"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "rar"))
_ARCHIVES = {"zip": "unzip", "7z": "7z x", "rar": "unrar x", "tar": "tar -xf"}
_MARKUP = (b"<?xml", b"<mediawiki", b"<!doctype", b"<html", b"<doc ")


class Damaged(Exception):
    """A compressed stream that cannot be read to its end."""


def kind_of(path: Path) -> str:
    """`plain` or one of NAMES, by the first bytes, which a suffix must not contradict.

    Raises:
        UserError: an archive, or another kind than the name says.
    """
    with open(path, "rb") as file:
        head = file.read(512)
    found = "zst" if len(head) > 3 and head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F else \
        next((kind for magic, kind in _MAGICS if head.startswith(magic)), "plain")
    refuse_archive(head, found, path)
    claimed = path.suffix.lower().lstrip(".")
    if claimed in NAMES and claimed != found and head:
        raise UserError(f"{path}: expected {NAMES[claimed]} data as its name says, found "
                        f"{NAMES.get(found, 'something else')}; rename the file or make it again")
    return found


def refuse_archive(head: bytes, kind: str, path: Path) -> None:
    """Raises UserError for the beginning of an archive of several files."""
    kind = "tar" if head[257:262] == b"ustar" else kind
    if kind in _ARCHIVES:
        raise UserError(f"{path}: this is a {kind} archive, which may hold several files; unpack it (`{_ARCHIVES[kind]}`) and "
                        "name the files inside")


def refuse_no_text(head: bytes, path: Path) -> None:
    """Raises UserError where the beginning of a file is not that of text: NUL bytes, lines that end in CR alone, markup."""
    if b"\0" in head:
        raise UserError(f"{path}: holds NUL bytes, which no text has; if it is UTF-16, convert it with "
                        "`iconv -f UTF-16 -t UTF-8`")
    if b"\r" in head and b"\n" not in head:
        raise UserError(f"{path}: its lines end in CR alone, as on old Macs; convert it with `tr '\\r' '\\n'`")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    if start.startswith(_MARKUP):
        raise UserError(f"{path}: this is XML or HTML, not text; extract the text first (of a Wikipedia dump for example with "
                        "`wikiextractor --json`)")


def is_records(lines: list[str]) -> bool:
    """Whether the first lines with text are JSON objects, one a line, whatever the file is called."""
    shown = [line for line in lines if line.strip()][:5]
    if not shown or not all(line.lstrip().startswith("{") for line in shown):
        return False
    try:
        return all(isinstance(json.loads(line), dict) for line in shown)
    except (ValueError, RecursionError):
        return False


def unpacked(stream: IO[bytes], kind: str, path: Path) -> Iterator[bytes]:
    """What a stream of a kind of NAMES (or `plain`) holds, in pieces.

    Raises:
        Damaged: cut short, or something that is no stream after a stream.
        UserError: zstandard is not installed; an archive inside.
    """
    if kind == "plain":
        while data := stream.read(BLOCK):
            yield data
        return
    first = True
    for data in _streams(stream, kind, path):
        if first and data:
            refuse_archive(data, kind, path)
            first = False
        yield data


def _streams(stream: IO[bytes], kind: str, path: Path) -> Iterator[bytes]:
    """The data of all streams of a file, one after the other."""
    new, errors, starts = _decompressor(kind, path)
    skip = 0  # bytes of a skippable frame still to come
    held = b""
    decompressor: Any = None
    count = 0
    while data := stream.read(BLOCK):
        held += data
        while held:
            if decompressor is None:
                if kind in ("gz", "xz"):  # zeros may stand after a stream
                    held = held.lstrip(b"\0") if count else held
                if skip:
                    held, skip = held[skip:], max(0, skip - len(held))
                    continue
                if len(held) < 8:
                    break
                if kind == "zst" and held[1:4] == b"\x2a\x4d\x18" and 0x50 <= held[0] <= 0x5F:
                    held, skip = held[8:], int.from_bytes(held[4:8], "little")
                    continue
                if not held.startswith(starts):
                    raise Damaged(f"what follows stream {count} is no {NAMES[kind]} data")
                decompressor = new()
            try:
                piece = decompressor.decompress(held)
            except errors as error:
                raise Damaged(str(error)) from None
            held = b""
            if piece:
                yield piece
            if decompressor.eof:
                held, decompressor, count = decompressor.unused_data, None, count + 1
    if decompressor is not None:
        raise Damaged("the last stream is incomplete")
    if skip or held.strip(b"\0") or (held and kind == "zst") or not count:
        raise Damaged(f"what follows stream {count} is no {NAMES[kind]} data" if count else "it has no whole stream")


def _decompressor(kind: str, path: Path) -> tuple[Callable[[], Any], tuple[type[Exception], ...], bytes]:
    """How a stream of a kind is unpacked, what that raises, and how it begins."""
    if kind == "gz":
        return (lambda: zlib.decompressobj(31)), (zlib.error,), b"\x1f\x8b"
    if kind == "xz":
        return (lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)), (lzma.LZMAError, EOFError), b"\xfd7zXZ\x00"
    if kind == "bz2":
        return bz2.BZ2Decompressor, (OSError, EOFError), b"BZh"
    try:
        import zstandard
    except ImportError:
        raise UserError(f"{path}: reading .zst needs the zstandard package; "
                        "run `pip install zstandard`, or unpack the file") from None
    large = zstandard.ZstdDecompressor(max_window_size=LONGEST_WINDOW)
    return large.decompressobj, (zstandard.ZstdError,), b"\x28\xb5\x2f\xfd"


def limit() -> int:
    """Most bytes that a task's file may unpack to.

    Raises:
        UserError: the environment variable is no whole number.
    """
    text = os.environ.get(LIMIT, "")
    if text and not text.isdigit():
        raise UserError(f"{LIMIT}={text!r}: expected a number of bytes")
    return int(text) if text else DEFAULT_LIMIT


def bounded(pieces: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """The pieces, as long as they stay under `limit` together.

    Raises:
        UserError: more than that.
    """
    most, total = limit(), 0
    for piece in pieces:
        total += len(piece)
        if total > most:
            raise UserError(f"{path}: unpacks to more than {most:,} bytes; is that the right file? Raise the limit with the "
                            f"environment variable {LIMIT}")
        yield piece
