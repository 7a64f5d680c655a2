"""Compressed data, whatever the codec: members one after another to the end of the file, or an error that says what is wrong.

A codec's library tends to stop where its first stream ends. Here the end of data is the end of the file: what follows a
member is another member, padding that the format allows, or damage.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pretrain.base.errors import UserError

STEP = 1 << 18
"""Compressed bytes read at a time."""
PART = 1 << 20
"""Most bytes that a decoder gives at a time: a bomb unpacks in parts too."""
_ZSTD_STEP = 1 << 11  # its decoder takes no limit, but four bytes are a block of 128 KiB at most
_SKIPPABLE = tuple(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))


class Damaged(Exception):
    """Compressed data that is cut short, changed, or followed by something else."""


class Source(Protocol):
    """Where compressed bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


@dataclass(frozen=True)
class Codec:
    """A format of compression.

    Attributes:
        name: what messages call it.
        suffixes: endings of its files.
        magics: how its data may begin.
        start: a decoder of one member.
        feed: what a decoder makes of more bytes, in parts.
        padding: zero bytes may stand behind a member in multiples of this; 0: none may.
        skippable: beginnings of frames that hold no data; their size follows in four bytes.
    """

    name: str
    suffixes: tuple[str, ...]
    magics: tuple[bytes, ...]
    start: Callable[[], Any]
    feed: Callable[[Any, bytes], Iterator[bytes]]
    padding: int = 0
    skippable: tuple[bytes, ...] = ()

    def begins(self, head: bytes) -> bool:
        return head.startswith(self.magics) or (bool(self.skippable) and head.startswith(self.skippable))


def _feed_zlib(decoder: Any, data: bytes) -> Iterator[bytes]:
    while not decoder.eof:
        part = decoder.decompress(data, PART)
        data = decoder.unconsumed_tail
        if part:
            yield part
        elif not data:
            return


def _feed(decoder: Any, data: bytes) -> Iterator[bytes]:
    yield decoder.decompress(data, PART)
    while not decoder.eof and not decoder.needs_input:
        yield decoder.decompress(b"", PART)


class _Zstandard:
    """One frame, with the attributes that the other decoders have."""

    def __init__(self) -> None:
        import zstandard

        # frames with a long window (zstd --long=31) are read; memory grows with what the frame really holds
        self.decoder = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
        self.rest = b""

    @property
    def eof(self) -> bool:
        return bool(self.decoder.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self.decoder.unused_data) + self.rest


def _feed_zstandard(one: _Zstandard, data: bytes) -> Iterator[bytes]:
    for first in range(0, len(data), _ZSTD_STEP):
        yield one.decoder.decompress(data[first:first + _ZSTD_STEP])
        if one.decoder.eof:
            one.rest = data[first + _ZSTD_STEP:]
            return


CODECS = (
    Codec("gzip", (".gz", ".tgz"), (b"\x1f\x8b\x08",), lambda: zlib.decompressobj(31), _feed_zlib, padding=1),
    Codec("xz", (".xz", ".txz"), (b"\xfd7zXZ\x00",), lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), _feed, padding=4),
    Codec("bzip2", (".bz2", ".tbz2"), tuple(b"BZh%d" % level for level in range(1, 10)), bz2.BZ2Decompressor, _feed),
    Codec("zstandard", (".zst", ".zstd"), (b"\x28\xb5\x2f\xfd",), _Zstandard, _feed_zstandard, skippable=_SKIPPABLE),
)


def codec_of(head: bytes) -> Codec | None:
    """The codec of data that begins so."""
    return next((codec for codec in CODECS if codec.begins(head)), None)


def require_codec(codec: Codec, path: Any) -> None:
    """Raises UserError where the package that unpacks `path` is not installed."""
    if codec.name == "zstandard":
        try:
            import zstandard  # noqa: F401
        except ImportError:
            raise UserError(f"{path}: reading .zst needs the zstandard package; "
                            "run `pip install zstandard`, or unpack the file") from None


def unpack(source: Source, codec: Codec) -> Iterator[bytes]:
    """The data of all members, in parts of at most some MiB.

    Raises:
        Damaged: the end is missing, the data are changed, or something else follows a member.
    """
    data, members = b"", 0
    while True:
        data, padding = _between(source, codec, data, members)
        if not data:
            return
        if not codec.begins(data) or padding % (codec.padding or 1):
            raise Damaged(f"{'other bytes' if members else 'no such data'} where {codec.name} data should "
                          f"{'go on or end' if members else 'begin'}")
        if codec.skippable and data.startswith(codec.skippable):
            data = _skip(source, data)
            members += 1
            continue
        decoder = codec.start()
        while True:
            yield from _decoded(codec, decoder, data)
            if decoder.eof:
                break
            data = source.read(STEP)
            if not data:
                yield from _decoded(codec, decoder, b"")
                if decoder.eof:
                    break
                raise Damaged("the end is missing")
        data = decoder.unused_data
        members += 1


def _decoded(codec: Codec, decoder: Any, data: bytes) -> Iterator[bytes]:
    parts = codec.feed(decoder, data)
    while True:
        try:
            part = next(parts)
        except StopIteration:
            return
        except Exception as error:  # each library has its own exceptions, bz2 plain OSError
            raise Damaged(" ".join(str(error).split()) or type(error).__name__) from None
        if part:
            yield part


def _between(source: Source, codec: Codec, data: bytes, members: int) -> tuple[bytes, int]:
    """What follows a member, at least eight bytes where there are so many, and the number of zero bytes left out before it."""
    padding = 0
    while True:
        while len(data) < 8 and (more := source.read(STEP)):
            data += more
        if not (members and codec.padding and data[:1] == b"\0"):
            break
        rest = data.lstrip(b"\0")
        padding += len(data) - len(rest)
        data = rest
    if not data and padding % (codec.padding or 1):
        raise Damaged(f"{padding} zero bytes behind the {codec.name} data")
    return data, padding


def _skip(source: Source, data: bytes) -> bytes:
    """What follows a skippable frame."""
    size = 8 + int.from_bytes(data[4:8], "little")
    while size > len(data):
        size -= len(data)
        data = source.read(STEP)
        if not data:
            raise Damaged("the end is missing")
    return data[size:]
