"""Every codec with the same damages: all data, or an error; never a part of the data without a word."""

import bz2
import gzip
import io
import lzma
import random
from functools import cache

import pytest

from pretrain.base.codecs import CODECS, Damaged, codec_of, unpack

TEXT = "".join(f"line {random.Random(number).random()}\n" for number in range(30_000)).encode()


def zstandard(data):
    return pytest.importorskip("zstandard").ZstdCompressor().compress(data)


PACK = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress, "zstandard": zstandard}
names = pytest.mark.parametrize("name", PACK)


@cache
def packed(name):
    return PACK[name](TEXT)


def read(data, name):
    codec = codec_of(data)
    assert codec is not None and codec.name == name
    return b"".join(unpack(io.BytesIO(data), codec))


def test_every_codec_is_here():
    assert set(PACK) == {codec.name for codec in CODECS}


@names
@pytest.mark.parametrize("members", [1, 2, 5])
def test_all_members(name, members):
    assert read(packed(name) * members, name) == TEXT * members


@names
@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("members", [1, 2])
def test_cut(name, left, members):
    last = packed(name)
    with pytest.raises(Damaged, match="the end is missing"):
        read(packed(name) * (members - 1) + last[:int(len(last) * left)], name)


@names
@pytest.mark.parametrize("junk", [b"junk", b"<html>" * 100, b"\1", b"\0\0\0\0junk"])
def test_other_bytes_after_the_data(name, junk):
    with pytest.raises(Damaged):
        read(packed(name) + junk, name)


@names
def test_damaged_second_member(name):
    second = bytearray(packed(name))
    middle = len(second) // 2
    second[middle:middle + 40] = bytes(byte ^ 0x55 for byte in second[middle:middle + 40])
    if name == "zstandard":
        second += pytest.importorskip("zstandard").ZstdCompressor(write_checksum=True).compress(TEXT)[:20]
    with pytest.raises(Damaged):
        read(packed(name) + bytes(second), name)


@names
@pytest.mark.parametrize("zeros", [4, 8, 512])
def test_padding(name, zeros):
    data = packed(name) + bytes(zeros) + packed(name)
    if name in ("gzip", "xz"):  # whose formats allow it
        assert read(data, name) == TEXT * 2
        assert read(data + bytes(zeros), name) == TEXT * 2
    else:
        with pytest.raises(Damaged):
            read(data, name)


def test_padding_of_xz_comes_in_fours():
    for behind in (b"", packed("xz")):
        with pytest.raises(Damaged):
            read(packed("xz") + bytes(7) + behind, "xz")


@pytest.mark.parametrize("size", [0, 8, 600_000])
def test_skippable_frames_of_zstandard(size):
    frame = b"\x5e\x2a\x4d\x18" + size.to_bytes(4, "little") + b"x" * size
    data = packed("zstandard")
    assert read(frame + data + frame + data + frame, "zstandard") == TEXT * 2
    with pytest.raises(Damaged, match="the end is missing"):
        read(data + frame[:-1], "zstandard")


def test_long_windows_of_zstandard():
    module = pytest.importorskip("zstandard")
    settings = module.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    packer = module.ZstdCompressor(compression_params=settings).compressobj()
    assert read(packer.compress(TEXT) + packer.flush(), "zstandard") == TEXT


@names
def test_a_bomb_comes_in_parts(name):
    data = PACK[name](bytes(100 << 20))
    codec = codec_of(data)
    assert codec is not None
    assert max(len(part) for part in unpack(io.BytesIO(data), codec)) <= 64 << 20
