import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pretrain.base.errors import UserError, nearest, unknown
from pretrain.base.files import atomic_file, atomic_folder, read_json, require_file, require_folder, sha256_file, write_json

ROOT = Path(__file__).resolve().parents[3]


def test_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("half")
        1 / 0  # noqa: B018
    assert (tmp_path / "a").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_failed_folder_leaves_the_old_folder_and_no_rest(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "prepare.json").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "out", overwrite=True) as temporary:
        (temporary / "prepare.json").write_text("half")
        1 / 0  # noqa: B018
    assert (tmp_path / "out" / "prepare.json").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["out"]


def test_killed_writer_leaves_nothing_under_the_outputs_name(tmp_path):
    code = ("import sys, time\nfrom pretrain.base.files import atomic_folder\n"
            "with atomic_folder(sys.argv[1]) as f:\n (f / 'x').write_text('half'); print('go', flush=True); time.sleep(60)")
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "out")], cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    time.sleep(0.01)
    assert not (tmp_path / "out").exists()


def test_empty_folder_counts_as_absent(tmp_path):
    (tmp_path / "out").mkdir()
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "x").write_text("1")
    assert (tmp_path / "out" / "x").read_text() == "1"


def test_files_are_readable_by_others(tmp_path):
    write_json(tmp_path / "a.json", {"ä": 1})
    assert (tmp_path / "a.json").stat().st_mode & 0o044 == 0o044
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"ä": 1}


def test_malformed_json_names_its_line(tmp_path):
    (tmp_path / "a.json").write_text('{\n"a": 1,\n}')
    with pytest.raises(UserError, match=r"a.json:3"):
        read_json(tmp_path / "a.json")


def test_json_that_is_not_utf8_names_the_byte(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(UserError, match=r"byte 0xff at offset 7"):
        read_json(tmp_path / "a.json")


def test_folder_in_place_of_a_file_is_said(tmp_path):
    with pytest.raises(UserError, match=r"expected a text, found a folder"):
        require_file(tmp_path, "a text")
    with pytest.raises(UserError, match=r"expected a body, found nothing"):
        require_folder(tmp_path / "x", "a body")


def test_hash_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a").startswith("ba7816bf8f01cfea")


def test_near_names_are_suggested_and_far_ones_are_not():
    assert nearest("elektra", ["electra", "bert"]) == ", did you mean 'electra'?"
    assert nearest("zzz", ["electra"]) == ""
    assert str(unknown("arch", "x", ["b", "a"])) == "unknown arch 'x' (known: a, b)"
