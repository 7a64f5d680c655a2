"""Binarised text: the mmap format both ways with fairseq, damage is named, blocks have one length."""

import numpy as np
import pytest

from pretrain.base.errors import UserError
from pretrain.data import Blocks, MappedTokens, token_dtype, write_index


def write(prefix, items, dtype=np.uint16):
    flat = np.concatenate([np.asarray(item, dtype=dtype) for item in items]) if items else np.zeros(0, dtype)
    flat.astype(dtype).tofile(f"{prefix}.bin")
    write_index(f"{prefix}.idx", np.array([len(item) for item in items]), dtype)
    return MappedTokens(prefix)


ITEMS = [[5, 6, 2], [7, 2], [], [8, 9, 10, 11, 2]]
STREAM = [token for item in ITEMS for token in item]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
def test_what_is_written_is_read(tmp_path, dtype):
    mapped = write(tmp_path / "t", ITEMS, dtype)
    assert len(mapped) == 4
    assert [item.tolist() for item in map(mapped.__getitem__, range(4))] == ITEMS
    assert mapped[0].dtype == np.int64
    assert mapped.sizes.tolist() == [3, 2, 0, 5]
    assert mapped.offsets.tolist() == [0, 3, 5, 5]
    assert mapped.tokens.tolist() == STREAM
    mapped.check_ids(12)


def test_no_items(tmp_path):
    mapped = write(tmp_path / "t", [])
    assert len(mapped) == len(mapped.tokens) == 0
    mapped.check_ids(5)
    with pytest.raises(UserError, match="found no tokens"):
        Blocks(mapped, 4)


def test_integer_type_is_fairseqs(tmp_path):
    assert token_dtype(65499) is np.uint16
    assert token_dtype(65500) is np.uint32
    indexed = pytest.importorskip("fairseq.data.indexed_dataset")
    for size in (100, 65499, 65500, 250_000):
        assert indexed.best_fitting_int_dtype(size) is token_dtype(size)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_fairseq_reads_ours(tmp_path, dtype):
    indexed = pytest.importorskip("fairseq.data.indexed_dataset")
    write(tmp_path / "t", ITEMS, dtype)
    data = indexed.MMapIndexedDataset(str(tmp_path / "t"))
    assert [data[i].tolist() for i in range(len(data))] == ITEMS
    assert data.sizes.tolist() == [3, 2, 0, 5]


@pytest.mark.parametrize("size", [100, 100_000])
def test_we_read_fairseqs_byte_for_byte(tmp_path, size):
    indexed = pytest.importorskip("fairseq.data.indexed_dataset")
    torch = pytest.importorskip("torch")
    builder = indexed.make_builder(str(tmp_path / "t.bin"), impl="mmap", vocab_size=size)
    for item in ITEMS:
        builder.add_item(torch.tensor(item, dtype=torch.int64))
    builder.finalize(str(tmp_path / "t.idx"))
    theirs = MappedTokens(tmp_path / "t")
    assert [item.tolist() for item in map(theirs.__getitem__, range(4))] == ITEMS
    write(tmp_path / "ours", ITEMS, token_dtype(size))
    for suffix in (".bin", ".idx"):
        assert (tmp_path / f"ours{suffix}").read_bytes() == (tmp_path / f"t{suffix}").read_bytes()


def damage(path, change):
    data = bytearray(path.read_bytes())
    path.write_bytes(change(data))


@pytest.mark.parametrize(("suffix", "change", "message"), [
    (".bin", lambda data: data[:-2], r"t\.bin: expected 20 bytes as t\.idx says, got 18"),
    (".bin", lambda data: data + b"xx", r"t\.bin: expected 20 bytes as t\.idx says, got 22"),
    (".idx", lambda data: data[:-1], r"t\.idx: expected 74 bytes for 4 items, got 73; the file is cut short"),
    (".idx", lambda data: data[:10], "expected an index in fairseq's mmap format"),
    (".idx", lambda data: b"TNTIDX\x00\x00\x00" + data[9:], "expected an index in fairseq's mmap format"),
    (".idx", lambda data: data[:9] + b"\x02" + data[10:], "got version 2"),
    (".idx", lambda data: data[:17] + b"\x63" + data[18:], "type 99"),
    (".idx", lambda data: data[:-8] + b"\x00" * 8, "do not follow one another"),
])
def test_damage_is_named(tmp_path, suffix, change, message):
    write(tmp_path / "t", ITEMS)
    damage(tmp_path / f"t{suffix}", change)
    with pytest.raises(UserError, match=message):
        MappedTokens(tmp_path / "t")


@pytest.mark.parametrize("suffix", [".bin", ".idx"])
def test_missing_files(tmp_path, suffix):
    write(tmp_path / "t", ITEMS)
    (tmp_path / f"t{suffix}").unlink()
    with pytest.raises(UserError, match=rf"t\{suffix}: expected .*, found nothing"):
        MappedTokens(tmp_path / "t")


def test_foreign_ids_are_named(tmp_path):
    mapped = write(tmp_path / "t", ITEMS)
    with pytest.raises(UserError, match=r"item 3 holds token id 11, but the vocabulary has ids 0 to 10"):
        mapped.check_ids(11)
    with pytest.raises(UserError, match="item 1 holds token id -1"):
        write(tmp_path / "n", [[5], [-1, 2]], np.int32).check_ids(11)


def test_blocks_cut_the_stream(tmp_path):
    mapped = write(tmp_path / "t", ITEMS)
    blocks = Blocks(mapped, 4)
    assert len(blocks) == 3  # ten tokens, three to a block; the last is dropped
    assert blocks.batch([0, 1, 2]).tolist() == [[0, *STREAM[i:i + 3]] for i in (0, 3, 6)]
    assert blocks[1].tolist() == blocks[-2].tolist() == [0, *STREAM[3:6]]
    assert blocks[0].dtype == blocks.batch([0]).dtype == np.int64
    assert blocks.batch(np.array([2, 0, 2])).tolist() == [blocks[2].tolist(), blocks[0].tolist(), blocks[2].tolist()]
    assert blocks.batch([]).shape == (0, 4)


def test_the_last_block_is_padded_on_request(tmp_path):
    blocks = Blocks(write(tmp_path / "t", ITEMS), 4, keep_last=True)
    assert len(blocks) == 4
    assert blocks[3].tolist() == blocks[-1].tolist() == [0, STREAM[9], 1, 1]
    assert blocks.batch([3, 0]).tolist() == [[0, STREAM[9], 1, 1], [0, *STREAM[:3]]]


def test_no_padding_where_the_stream_fits(tmp_path):
    for keep_last in (False, True):
        blocks = Blocks(write(tmp_path / "t", ITEMS), 6, keep_last=keep_last)
        assert blocks.batch(range(len(blocks))).tolist() == [[0, *STREAM[:5]], [0, *STREAM[5:]]]


def test_a_short_text_is_one_padded_block(tmp_path):
    blocks = Blocks(write(tmp_path / "t", ITEMS), 16, bos=3, pad=4)
    assert len(blocks) == 1
    assert blocks[0].tolist() == [3, *STREAM, 4, 4, 4, 4, 4]


def test_blocks_outside_are_refused(tmp_path):
    blocks = Blocks(write(tmp_path / "t", ITEMS), 4)
    for index in (3, -4):
        with pytest.raises(IndexError):
            blocks[index]
        with pytest.raises(IndexError):
            blocks.batch([0, index])
    with pytest.raises(UserError, match="at least 2"):
        Blocks(write(tmp_path / "t", ITEMS), 1)
