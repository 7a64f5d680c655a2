"""The one place where an input of text is opened: what it is follows from its content, and a name must not contradict it.

Compressed text is unpacked (`pretrain.base.codecs`). Whatever is no text (archives, UTF-16, markup, tables of other programs)
is one `UserError` that names the format and what to do. Memory does not grow with the input.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pretrain.base.codecs import CODECS, Codec, Damaged, codec_of, require_codec, unpack
from pretrain.base.errors import UserError

BLOCK = 1 << 20
"""Bytes of text read at a time; content is judged by the first block."""
LONGEST_LINE = 64 << 20
"""Bytes."""
LIMIT = "RELEXIFY_MAX_INPUT_BYTES"
"""Environment variable: most bytes that a task's file may unpack to."""
DEFAULT_LIMIT = 1 << 29
TIMES = 20
"""Without a limit of the user's, compressed data of more than `SURELY` bytes may be at most so many times as large unpacked: text
is some four times as large, a bomb some hundred times."""
SURELY = 1 << 26

_FORMATS = (
    ((b"PK\x03\x04", b"PK\x05\x06"), "a zip archive", "unpack it with `unzip` and pass the files in it"),
    ((b"7z\xbc\xaf\x27\x1c",), "a 7z archive", "unpack it with `7z x` and pass the files in it"),
    ((b"Rar!\x1a\x07",), "a RAR archive", "unpack it with `unrar x` and pass the files in it"),
    ((b"\x1f\x9d", b"\x1f\xa0"), "compress (.Z) data", "unpack it with `gzip -d`"),
    ((b"\x04\x22\x4d\x18",), "lz4 data", "unpack it with `lz4 -d`"),
    ((b"LZIP",), "lzip data", "unpack it with `lzip -d`"),
    ((b"\x5d\x00\x00",), "lzma data", "unpack it with `unlzma`"),
    ((b"%PDF-",), "a PDF document", "extract its text, for example with `pdftotext`"),
    ((b"{\\rtf",), "an RTF document", "save it as plain text in UTF-8"),
    ((b"\xd0\xcf\x11\xe0",), "an office document", "save it as plain text in UTF-8"),
    ((b"ARROW1",), "an Arrow file", "write it as parquet or as JSON lines"),
    ((b"Obj\x01",), "an Avro file", "write it as parquet or as JSON lines"),
    ((b"ORC",), "an ORC file", "write it as parquet or as JSON lines"),
    ((b"\x89HDF",), "an HDF5 file", "write its text as JSON lines"),
    ((b"SQLite format 3\x00",), "an SQLite database", "write its text as JSON lines"),
)
_UTF = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_MARKUP = (b"<?xml", b"<!doctype", b"<html>", b"<mediawiki", b"<doc ")
_TAG = re.compile(rb"<([A-Za-z][\w:.-]*)((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'))*)\s*/?>[ \t\r]*(\n?)")


class Counted(io.RawIOBase):
    """A file that counts and hashes the bytes read from it."""

    def __init__(self, path: Path):
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        self.position = 0
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self.hash.update(memoryview(buffer)[:count])
        self.position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def input_limit(path: Path) -> int:
    """Most bytes that a task's file may unpack to.

    Raises:
        UserError: the environment variable is no whole number above 0.
    """
    text = os.environ.get(LIMIT, "").strip()
    if text and (not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 1):
        raise UserError(f"{LIMIT}={text[:40]!r}: expected a number of bytes")
    if text:
        return int(text)
    with open(path, "rb") as file:
        packed = codec_of(file.read(16)) is not None
    return min(DEFAULT_LIMIT, max(SURELY, TIMES * path.stat().st_size)) if packed else DEFAULT_LIMIT


def decode_utf8(data: bytes, path: Path | str, first_line: int = 1) -> str:
    """UTF-8 text; the UserError of any other names file, line and byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise UserError(f"{path}:{line}: expected UTF-8 text, found byte {data[error.start]:#04x} at byte {column} "
                        "of the line; convert the file from the encoding that it has, for example with `iconv -f LATIN1 -t "
                        "UTF-8` (western European; Cyrillic: -f WINDOWS-1251)") from None


def is_parquet(path: Path) -> bool:
    """Whether a file is parquet by its first bytes."""
    with open(path, "rb") as file:
        return file.read(4) == b"PAR1"


class TextInput:
    """A file of text, opened by its content.

    Args:
        limit: most bytes that it may hold, unpacked; None: any number.

    Attributes:
        codec: how it is compressed, None: not at all.
        position: bytes of the file read so far.
        line: lines read so far.

    Raises:
        UserError: its name says another compression than its first bytes, or the package that unpacks it is missing. While it is
            read: damage, a format that is no text, no UTF-8, a line longer than `LONGEST_LINE`, more than `limit`.
    """

    def __init__(self, path: Path, limit: int | None = None):
        self.path, self.limit, self.line = path, limit, 0
        with open(path, "rb") as file:
            head = file.read(16)
        self.codec: Codec | None = codec_of(head)
        claimed = next((codec for codec in CODECS if path.name.lower().endswith(codec.suffixes)), None)
        if claimed is not None and claimed is not self.codec and head:
            self._check_format(head)
            found = self.codec.name if self.codec else "parquet" if head.startswith(b"PAR1") else "something else"
            raise UserError(f"{path}: expected {claimed.name} data as its name says, found {found}; rename the file or make it "
                            "again")
        if self.codec is not None:
            require_codec(self.codec, path)
        self.raw = Counted(path)

    def __enter__(self) -> TextInput:
        return self

    def __exit__(self, *_: object) -> None:
        self.raw.close()

    @property
    def position(self) -> int:
        return self.raw.position

    def blocks(self) -> Iterator[bytes]:
        """Text in blocks of exactly `BLOCK` bytes but for the last, unpacked and checked; lines end with a line feed."""
        first = carriage = False
        total = 0
        for block in self._unpacked():
            if not first:
                first = True
                self._check_first(block)
                carriage = b"\n" not in block and b"\r" in block[:-1]  # as old Macs wrote it
            total += len(block)
            if self.limit is not None and total > self.limit:
                raise UserError(f"{self.path}: {'unpacks to' if self.codec else 'holds'} more than {self.limit:,} bytes; is that "
                                f"the right file? Raise the limit with the environment variable {LIMIT}")
            if b"\0" in block:
                self._refuse_nul(block)
            yield block.replace(b"\r", b"\n") if carriage else block

    def groups(self) -> Iterator[list[str]]:
        """The lines, many at a time, without their line feeds and without a byte order mark; only a line feed ends a line."""
        carry: list[bytes] = []
        size = 0
        for block in self.blocks():
            head, newline, tail = block.rpartition(b"\n")
            if not newline:
                carry.append(block)
                size += len(block)
                if size > LONGEST_LINE:
                    raise UserError(f"{self.path}:{self.line + 1}: the line is longer than {LONGEST_LINE >> 20} MiB; "
                                    "expected text with line breaks")
                continue
            text = decode_utf8(b"".join([*carry, head]), self.path, self.line + 1)
            carry, size = [tail], len(tail)
            lines = (text.removeprefix("\ufeff") if self.line == 0 else text).split("\n")
            yield lines
            self.line += len(lines)
        if last := b"".join(carry):
            text = decode_utf8(last, self.path, self.line + 1)
            yield [text.removeprefix("\ufeff") if self.line == 0 else text]
            self.line += 1

    def _unpacked(self) -> Iterator[bytes]:
        buffered = io.BufferedReader(self.raw, BLOCK)
        if self.codec is None:
            while block := buffered.read(BLOCK):
                yield block
            return
        held = bytearray()
        try:
            for data in unpack(buffered, self.codec):
                held += data
                while len(held) >= BLOCK:
                    yield bytes(held[:BLOCK])
                    del held[:BLOCK]
        except Damaged as error:
            if held:
                yield bytes(held)  # so that the error says after which line
            raise UserError(f"{self.path}: the {self.codec.name} data is damaged or cut short after line {self.line} "
                            f"({error}); fetch or compress the file again") from None
        if held:
            yield bytes(held)

    def _check_format(self, block: bytes) -> None:
        for magics, name, advice in _FORMATS:
            if block.startswith(magics):
                raise UserError(f"{self.path}: {self._inside}{name}, expected text; {advice}")
        for mark, name in _UTF.items():
            if block.startswith(mark):
                raise UserError(f"{self.path}: {self._inside}text in {name}, expected UTF-8; convert it with "
                                f"`iconv -f {name} -t UTF-8`")

    @property
    def _inside(self) -> str:
        return f"{self.codec.name} data with " if self.codec else ""

    def _check_first(self, block: bytes) -> None:
        """Refuses a format that is no text, by the beginning of the unpacked data."""
        self._check_format(block)
        if self.codec is not None and (again := codec_of(block)):
            raise UserError(f"{self.path}: {self.codec.name} data with {again.name} data in it, expected text; unpack it once")
        if block.startswith(b"PAR1"):
            raise UserError(f"{self.path}: {self._inside}a parquet file, expected text"
                            + ("; unpack it" if self.codec else "; only `relexify prepare` reads parquet"))
        if _is_tar(block):
            raise UserError(f"{self.path}: {self._inside}a tar archive, expected text; unpack it with `tar -xf` and pass the "
                            "files in it")
        start = block.removeprefix(b"\xef\xbb\xbf").lstrip()[:4096]
        tag = _TAG.match(start)
        if start[:16].lower().startswith(_MARKUP) or (tag and b"</" in block and (tag[2] or tag[3])):
            advice = "extract the text first: `wikiextractor --json` writes JSON lines out of a wiki's dump" \
                if tag and tag[1] in (b"mediawiki", b"doc") else "extract the text first"
            raise UserError(f"{self.path}:1: XML or HTML markup, {start[:40].decode('utf-8', 'replace').split(chr(10))[0]!r}, "
                            f"expected text; {advice}")

    def _refuse_nul(self, block: bytes) -> None:
        even, odd = block[::2].count(0), block[1::2].count(0)
        many = max(even, odd) > len(block) // 8
        if many and min(even, odd) < max(even, odd) // 8:
            name = "UTF-16LE" if odd > even else "UTF-16BE"
            raise UserError(f"{self.path}:{self.line + 1}: NUL in every other byte: text in {name}, expected UTF-8; convert it "
                            f"with `iconv -f {name} -t UTF-8`")
        line = self.line + 1 + block.count(b"\n", 0, block.index(0))
        raise UserError(f"{self.path}:{line}: a NUL byte, expected UTF-8 text; the file is damaged or no text: write it again, "
                        "or take them out with `tr -d '\\000'`")


def _is_tar(block: bytes) -> bool:
    """Whether data begins with the header of a tar archive: its sum of bytes is right, whichever dialect it is."""
    if len(block) < 512 or not block[0]:
        return False
    stated = block[148:156].strip(b" \0")
    return stated.isdigit() and set(stated) <= set(b"01234567") and \
        int(stated, 8) == sum(block[:148]) + 8 * ord(" ") + sum(block[156:512])


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a text file, empty lines too, of at most `input_limit` bytes.

    Raises:
        UserError: as `TextInput`.
    """
    with TextInput(Path(path), input_limit(Path(path))) as opened:
        number = 0
        for lines in opened.groups():
            for line in lines:
                number += 1
                yield number, line.rstrip("\r")


def read_text(path: str | Path) -> str:
    """A whole text file of at most `input_limit` bytes, with its line ends as they are, but without a byte order mark.

    Raises:
        UserError: as `TextInput`.
    """
    with TextInput(Path(path), input_limit(Path(path))) as opened:
        data = b"".join(opened.blocks())
    return decode_utf8(data, path).removeprefix("\ufeff")
