"""Binarised text: fairseq's mmap format, read and written without fairseq, and training blocks cut from it.

`PREFIX.idx` holds a header, the sizes of the items (int32) and their byte offsets (int64); `PREFIX.bin` holds the
token ids of all items end to end. What `fairseq-preprocess` wrote is read too.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain.base.errors import UserError
from pretrain.base.files import require_file
from pretrain.base.vocabulary import BOS, PAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MAGIC = b"MMIDIDX\x00\x00"
_HEADER = struct.Struct("<9sQBQ")  # magic, version, dtype code, number of items
_DTYPES: dict[int, type[np.integer[Any]]] = {
    1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16, 9: np.uint32, 10: np.uint64}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


def token_dtype(vocab_size: int) -> type[np.integer[Any]]:
    """The integer type that fairseq stores ids of this vocabulary in: uint16 below 65,500, else uint32."""
    return np.uint16 if vocab_size < 65500 else np.uint32


def write_index(path: str | Path, sizes: NDArray[Any], dtype: type[np.integer[Any]]) -> None:
    """Writes the `.idx` file of items of these `sizes` (tokens), stored as `dtype` end to end from offset 0."""
    sizes = np.asarray(sizes, dtype=np.int64)
    pointers = np.zeros(len(sizes), dtype=np.int64)
    np.cumsum(sizes[:-1], out=pointers[1:])
    with open(path, "wb") as file:
        file.write(_HEADER.pack(_MAGIC, 1, _CODES[dtype], len(sizes)))
        file.write(sizes.astype(np.int32).tobytes())
        file.write((pointers * np.dtype(dtype).itemsize).tobytes())


class MappedTokens:
    """The items of `PREFIX.idx` and `PREFIX.bin`, mapped into memory and not read until used.

    Attributes:
        sizes: tokens of each item, int32 `[items]`.
        offsets: where each item starts in `tokens`, int64 `[items]`.
        tokens: all ids end to end, in the file's integer type.

    Raises:
        UserError: a file that is missing, damaged or cut short.
    """

    def __init__(self, prefix: str | Path):
        self.prefix = Path(prefix)
        index = require_file(f"{prefix}.idx", "the index of binarised text (written by `relexify prepare`)")
        data = require_file(f"{prefix}.bin", "binarised text (written by `relexify prepare`)")
        size = index.stat().st_size
        with open(index, "rb") as file:
            header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or header[:len(_MAGIC)] != _MAGIC:
            raise UserError(f"{index}: expected an index in fairseq's mmap format, found other content; "
                            "binarise the text again with `relexify prepare`")
        _, version, code, count = _HEADER.unpack(header)
        if version != 1 or code not in _DTYPES:
            raise UserError(f"{index}: expected version 1 with an integer type, got version {version}, type {code}; "
                            "binarise the text again with `relexify prepare`")
        if size != _HEADER.size + 12 * count:
            raise UserError(f"{index}: expected {_HEADER.size + 12 * count} bytes for {count} items, got {size}; "
                            "the file is cut short or damaged: binarise the text again")
        self.dtype = np.dtype(_DTYPES[code])
        raw = np.memmap(index, mode="r", dtype=np.uint8)
        self.sizes: NDArray[np.int32] = raw[_HEADER.size:_HEADER.size + 4 * count].view(np.int32)
        pointers: NDArray[np.int64] = raw[_HEADER.size + 4 * count:].view(np.int64)
        self.offsets: NDArray[np.int64] = pointers // self.dtype.itemsize
        expected = int(self.sizes.sum(dtype=np.int64)) * self.dtype.itemsize
        if data.stat().st_size != expected:
            raise UserError(f"{data}: expected {expected} bytes as {index.name} says, got {data.stat().st_size}; "
                            "the file is cut short or belongs to another index: binarise the text again")
        ends = np.cumsum(self.sizes, dtype=np.int64)
        if count and not np.array_equal(self.offsets, ends - self.sizes):
            raise UserError(f"{index}: the items do not follow one another; binarise the text again")
        # numpy cannot map a file of zero bytes
        self.tokens: NDArray[Any] = (
            np.memmap(data, mode="r", dtype=self.dtype) if expected else np.zeros(0, dtype=self.dtype))

    def __len__(self) -> int:
        """Number of items."""
        return len(self.sizes)

    def __getitem__(self, item: int) -> NDArray[np.int64]:
        """Token ids of one item, int64."""
        start = int(self.offsets[item])
        return np.asarray(self.tokens[start:start + int(self.sizes[item])], dtype=np.int64)

    def check_ids(self, vocab_size: int) -> None:
        """Reads all ids once.

        Raises:
            UserError: an id outside the vocabulary, with its item.
        """
        step = 1 << 22
        for start in range(0, len(self.tokens), step):
            part = self.tokens[start:start + step]
            low, high = int(part.min()), int(part.max())
            if low < 0 or high >= vocab_size:
                wrong = high if high >= vocab_size else low
                place = start + int(np.argmax(part == wrong))
                item = int(np.searchsorted(self.offsets, place, side="right")) - 1
                raise UserError(f"{self.prefix}.bin: item {item} holds token id {wrong}, but the vocabulary has ids "
                                f"0 to {vocab_size - 1}; was the text prepared with another tokenizer?")


class Blocks:
    """Blocks of one length: the items laid end to end and cut, each block opened by `<s>`.

    Every block is `[<s>, block_size - 1 tokens]`, so batches have static shapes. Items already end with `</s>`.

    Args:
        mapped: the binarised text.
        block_size: tokens of a block, `<s>` included.
        keep_last: pad the incomplete last block and keep it (validation) rather than drop it (training). A text
            shorter than one block always gives one padded block.
    """

    def __init__(self, mapped: MappedTokens, block_size: int, bos: int = BOS, pad: int = PAD, keep_last: bool = False):
        if block_size < 2:
            raise UserError(f"block size {block_size}: expected at least 2 (<s> and one token)")
        if not len(mapped.tokens):
            raise UserError(f"{mapped.prefix}.bin: expected binarised text, found no tokens; prepare a text first")
        self.tokens = mapped.tokens
        self.block_size = block_size
        self.bos, self.pad = bos, pad
        body = block_size - 1
        whole, rest = divmod(len(self.tokens), body)
        self._whole = whole
        self._padded = bool(rest) and (keep_last or whole == 0)

    def __len__(self) -> int:
        """Number of blocks."""
        return self._whole + self._padded

    def __getitem__(self, index: int) -> NDArray[np.int64]:
        """One block, int64 `[block_size]`."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"block {index} of {len(self)}")
        return self.batch([index])[0]

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Several blocks, int64 `[len(indices), block_size]`; negative indices count from the end."""
        wanted = np.asarray(indices, dtype=np.int64)
        if wanted.size and not -len(self) <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"blocks {wanted.min()} to {wanted.max()} of {len(self)}")
        wanted = np.where(wanted < 0, wanted + len(self), wanted)
        body = self.block_size - 1
        blocks = np.full((len(wanted), self.block_size), self.pad, dtype=np.int64)
        blocks[:, 0] = self.bos
        is_whole = wanted < self._whole
        view = self.tokens[:self._whole * body].reshape(self._whole, body)
        blocks[is_whole, 1:] = view[wanted[is_whole]]
        last = self.tokens[self._whole * body:]
        blocks[~is_whole, 1:len(last) + 1] = last
        return blocks
