"""`inspect` says "verified" of prepared text only where all that its record promises is so."""

import json
import shutil
from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from pretrain.base.files import sha256_file
from recipes.cli import main
from recipes.commands.using.inspect import describe

PREPARED = Path(__file__).resolve().parents[3] / "fixtures" / "artefacts" / "prepared-qab"


@pytest.fixture
def prepared(tmp_path):
    return Path(shutil.copytree(PREPARED, tmp_path / "data"))


def resigned(folder, name):
    """The record, with the present hash of a changed file."""
    record = json.loads((folder / "prepare.json").read_text())
    record["files"][name] = sha256_file(folder / name)
    (folder / "prepare.json").write_text(json.dumps(record))


def flip(folder):
    data = bytearray((folder / "train.bin").read_bytes())
    data[100] ^= 1
    (folder / "train.bin").write_bytes(data)


def test_whole_text_is_verified(prepared):
    ((title, record),) = describe(prepared)
    assert title.endswith("prepared text, verified") and record["language"] == "qab"


@pytest.mark.parametrize(("damage", "message"), [
    (flip, r"train\.bin: has SHA-256 .*prepare\.json says"),
    (lambda f: (f / "train.idx").unlink(), r"train\.idx: expected a file of prepared text"),
    (lambda f: (f / "dict.txt").unlink(), r"dict\.txt: expected a file of prepared text"),
    (lambda f: (f / "dict.txt").write_bytes(b"\x00\xff"), r"dict\.txt: has SHA-256"),
    (lambda f: ((f / "dict.txt").write_bytes(b"\x00\xff"), resigned(f, "dict.txt")), r"dict\.txt: expected .*UTF-8"),
    (lambda f: ((f / "dict.txt").write_text("a 1\n"), resigned(f, "dict.txt")), r"dict\.txt: does not number the .* pieces"),
    (lambda f: (shutil.copy(PREPARED.parent / "roberta" / "embedding" / "tokenizer.model", f), resigned(f, "tokenizer.model")),
     r"tokenizer\.model: has SHA-256 .*the vocabulary"),
    (lambda f: (f / "prepare.json").write_text("{}"), r"prepare\.json: 'language' is missing, found nothing"),
    (lambda f: (f / "prepare.json").write_text("[]"), r"prepare\.json: expected .* a JSON object, got a list"),
    (lambda f: (f / "prepare.json").write_text('{"language": "qab"}'), r"prepare\.json: 'files' is missing"),
], ids=["bit", "no index", "no dict", "garbage dict", "signed garbage dict", "other dict", "foreign tokenizer", "empty", "list",
        "short"])
def test_damaged_text_is_not(prepared, damage, message):
    damage(prepared)
    with pytest.raises(UserError, match=message):
        describe(prepared)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a": ' + "1" * 5000 + "}"], ids=["deep", "huge integer"])
def test_json_of_any_kind_is_read_within_bounds(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match=r"x\.json: "):
        describe(tmp_path / "x.json")


def test_seeds_lead_to_no_other_folder(tmp_path):
    run = {"folder": "../elsewhere", "fingerprint": "0"}
    (tmp_path / "seeds.json").write_text(json.dumps({"format": "relexify-seeds", "version": 1, "median": run, "runs": [run]}))
    with pytest.raises(UserError, match=r"seeds\.json: .*'folder' is '\.\./elsewhere'"):
        describe(tmp_path)


ARTEFACTS = PREPARED.parent
WORD = "тазе"
"""One that a piece of the fixture's tokenizer spells."""


def dictionary(tmp_path):
    """Words of the fixtures' languages that are one piece each, paired in the order of their rows."""
    from adapt.artefacts.embedding import Embedding

    words = {}
    for name, folder in (("new", ARTEFACTS / "qab"), ("base", ARTEFACTS / "roberta" / "embedding")):
        spelled = Embedding.load(folder).tokenizer.spellings
        words[name] = [piece[1:] for piece in spelled if piece.startswith("▁") and len(piece) > 3][:10]
    path = tmp_path / "d.txt"
    path.write_text("".join(f"{b}\t{a}\n" for a, b in zip(words["new"], words["base"], strict=True)), encoding="utf-8")
    return path


def test_a_dictionary_tells_how_many_words_are_nearest_to_their_translation(tmp_path, capsys):
    words = ["inspect", str(ARTEFACTS / "qab"), "--dictionary", str(dictionary(tmp_path)), "--base", str(ARTEFACTS / "roberta")]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "words: 10" in shown and "median rank of the best translation: " in shown
    candidates = int(shown.partition("candidates (base words of one piece): ")[2].split()[0])
    assert candidates > 10 and f"by chance: {round(1 / candidates, 4)}" in shown


@pytest.mark.parametrize(("words", "records"), [
    ([], 1), ([str(ARTEFACTS / "roberta" / "embedding")], 2),
    (["--dictionary", "d.txt", "--base", str(ARTEFACTS / "roberta")], 2),
    (["--neighbours", WORD], 1), ([str(ARTEFACTS / "roberta" / "embedding"), "--neighbours", WORD], 2)])
def test_json_is_one_document(tmp_path, monkeypatch, capsys, words, records):
    dictionary(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", str(ARTEFACTS / "qab"), *words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert isinstance(shown, dict) if records == 1 else [type(one) for one in shown] == [dict] * records


@pytest.mark.parametrize(("words", "message"), [
    (["--dictionary", "d.txt", "--base", str(ARTEFACTS / "roberta"), "--neighbours", WORD], "ask one at a time"),
    (["--dictionary", "d.txt"], "--dictionary and --base go together"),
    (["--dictionary", "none.txt", "--base", str(ARTEFACTS / "roberta")], "none.txt"),
    (["--dictionary", "odd.txt", "--base", str(ARTEFACTS / "roberta")], "no line has two words that are one piece each"),
    (["--dictionary", "d.txt", "--base", str(ARTEFACTS / "electra")], "rows can only be compared")])
def test_mistakes_with_a_dictionary_are_one_line(tmp_path, monkeypatch, capsys, words, message):
    dictionary(tmp_path)
    (tmp_path / "odd.txt").write_text("qqqqqqqq wwwwwwww\n")
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", str(ARTEFACTS / "qab"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
