"""Inputs are opened by what they hold: every codec with the same damages, archives and markup named, nothing lost in silence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from adapt.text.corpus import Corpus
from pretrain.base.errors import UserError
from pretrain.base.opening import LIMIT, TextInput
from pretrain.base.opening import read_lines as lines

PACK = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress, "zst": zstandard.ZstdCompressor().compress}
ONE, TWO = (b"".join(b"%s line %d of some text\n" % (name, n) for n in range(4000)) for name in (b"first", b"second"))


def read(path: Path) -> bytes:
    with TextInput(path) as opened:
        return b"".join(opened.blocks())


@pytest.fixture(params=sorted(PACK))
def codec(request) -> str:
    return request.param


def write(folder: Path, codec: str, data: bytes) -> Path:
    path = folder / f"text.txt.{codec}"
    path.write_bytes(data)
    return path


def test_one_stream_and_several_are_read_whole(codec, tmp_path):
    pack = PACK[codec]
    assert read(write(tmp_path, codec, pack(ONE))) == ONE
    assert read(write(tmp_path, codec, pack(ONE) + pack(TWO))) == ONE + TWO
    assert read(write(tmp_path, codec, pack(ONE) + pack(b"") + pack(TWO))) == ONE + TWO


def test_the_name_does_not_matter(codec, tmp_path):
    (tmp_path / "text").write_bytes(PACK[codec](ONE))
    assert read(tmp_path / "text") == ONE


@pytest.mark.parametrize("codec", ["gz", "xz"])
def test_padding_between_streams_is_no_end(codec, tmp_path):
    pack = PACK[codec]
    assert read(write(tmp_path, codec, pack(ONE) + bytes(8) + pack(TWO) + bytes(4))) == ONE + TWO


def test_skippable_frames_and_long_windows_of_zstandard(tmp_path):
    skip = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    assert read(write(tmp_path, "zst", skip + PACK["zst"](ONE) + skip + PACK["zst"](TWO))) == ONE + TWO
    parameters = zstandard.ZstdCompressionParameters(window_log=29, enable_ldm=True)
    out = io.BytesIO()
    with zstandard.ZstdCompressor(compression_params=parameters).stream_writer(out, closefd=False) as stream:
        stream.write(ONE)
    assert read(write(tmp_path, "zst", out.getvalue())) == ONE


@pytest.mark.parametrize("damage", ["cut", "cut second", "flipped second", "junk", "junk between", "text after"])
def test_damage_is_never_the_end_of_the_data(codec, damage, tmp_path):
    one, two = PACK[codec](ONE), PACK[codec](TWO)
    flipped = bytearray(two)
    flipped[0] ^= 0xFF
    data = {"cut": one[:-9], "cut second": one + two[:len(two) // 2], "flipped second": one + flipped, "junk": one + b"\x07" * 40,
            "junk between": one + b"\x07" * 40 + two, "text after": one + b"some text after the end\n"}[damage]
    path = write(tmp_path, codec, bytes(data))
    with pytest.raises(UserError, match="damaged or cut short after line"):
        list(Corpus([path], "line"))
    with pytest.raises(UserError, match="damaged or cut short after line"):
        list(lines(path))


def test_archives_are_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(ONE)
    for name, mode in (("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar.xz", "w:xz"), ("a.tar.bz2", "w:bz2")):
        with tarfile.open(tmp_path / name, mode) as archive:  # type: ignore[call-overload]
            archive.add(tmp_path / "a.txt", "a.txt")
        with pytest.raises(UserError, match="a tar archive"):
            list(Corpus([tmp_path / name]))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.txt")
    with pytest.raises(UserError, match="a zip archive"):
        list(lines(tmp_path / "a.zip"))


@pytest.mark.parametrize(("data", "message"), [
    (b"some\0text\n", "NUL byte"), ("hällo wörld\n".encode("utf-16-le"), "UTF-16LE"),
    (b"<?xml version='1.0'?>\n<page>text</page>\n", "XML or HTML"), (b'<doc id="1" title="x">\ntext\n</doc>\n', "XML or HTML"),
    (b"\xef\xbb\xbf<mediawiki>\n", "XML or HTML")])
def test_what_is_no_text_is_refused(data, message, tmp_path):
    (tmp_path / "wiki_00").write_bytes(data)
    with pytest.raises(UserError, match=message):
        list(Corpus([tmp_path / "wiki_00"]))


@pytest.mark.parametrize("name", ["RC_2010-01.zst", "wiki_00", "text.jsonl.zstd", "text.txt"])
def test_json_lines_are_known_by_what_they_hold(name, tmp_path):
    data = b"".join(b'{"text": "sentence %d", "id": %d}\n' % (n, n) for n in range(9))
    (tmp_path / name).write_bytes(PACK["zst"](data) if "zst" in name else data)
    assert list(Corpus([tmp_path / name])) == [[f"sentence {n}"] for n in range(9)]


def test_text_that_begins_with_a_brace_stays_text(tmp_path):
    (tmp_path / "code.txt").write_text("{ not json\n} at all\n")
    assert list(Corpus([tmp_path / "code.txt"], "line")) == [["{ not json"], ["} at all"]]


def test_a_bomb_meets_a_limit_that_can_be_raised(tmp_path, monkeypatch):
    path = write(tmp_path, "gz", PACK["gz"](ONE * 20))
    monkeypatch.setenv(LIMIT, str(len(ONE)))
    with pytest.raises(UserError, match=f"unpacks to more than {len(ONE):,} bytes.*{LIMIT}"):
        list(lines(path))
    monkeypatch.setenv(LIMIT, str(len(ONE) * 20))
    assert sum(1 for _ in lines(path)) == 80_000
    monkeypatch.setenv(LIMIT, "much")
    with pytest.raises(UserError, match="expected a number of bytes"):
        list(lines(path))
