"""Lines of the text files that tasks come in."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from pretrain.base.errors import UserError


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a UTF-8 file, empty lines too; `.gz` is unpacked.

    Only a line feed ends a line: texts may hold U+0085 or U+2028.

    Raises:
        UserError: with file and line: not UTF-8, or a damaged gzip file.
    """
    number = 0
    try:
        with (gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")) as file:
            for number, raw in enumerate(file, 1):
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:{number}: expected UTF-8, got byte {error.object[error.start]:#x}; convert the "
                        "file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: damaged or truncated gzip file after line {number} ({error}); copy it "
                        "again") from None
