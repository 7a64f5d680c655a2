"""prepare: the same bytes for the same seed, splits by document, exact budgets, whole outputs or none."""

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from adapt.text import prepare as prepare_module
from adapt.text.prepare import parse_count, prepare
from adapt.text.sampling import Selection, hash_keys
from adapt.text.tokenizer import Tokenizer
from pretrain.base.errors import UserError
from pretrain.base.language import check_language
from pretrain.base.vocabulary import Vocabulary
from pretrain.data import MappedTokens
from recipes.commands.training.prepare import add_arguments, run

ROOT = Path(__file__).parents[3]
FILES = ["dict.txt", "prepare.json", "tokenizer.model", "train.bin", "train.idx", "valid.bin", "valid.idx"]


def write_text(path, documents=600, seed=1):
    """Documents of one to four lines with blank lines between them; each line is one of a kind."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 7))) for _ in range(150)]
    texts = ["\n".join(" ".join(draw.choices(words, k=draw.randint(3, 12))) + f" {number}"
                       for _ in range(draw.randint(1, 4))) for number in range(documents)]
    path.write_text("\n\n".join(texts) + "\n")
    return [text.split("\n") for text in texts]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(folder with text.txt and the prepared `data`, the documents, the record)."""
    folder = tmp_path_factory.mktemp("prepare")
    documents = write_text(folder / "text.txt")
    record = prepare([folder / "text.txt"], "sw", folder / "data", vocab_size=120, valid_fraction=0.1)
    return folder, documents, record


def again(world, output, **settings):
    folder = world[0]
    settings = {"tokenizer": folder / "data", "valid_fraction": 0.1, **settings}
    return prepare([folder / "text.txt"], "sw", output, **settings)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def items(prefix):
    mapped = MappedTokens(prefix)
    return [tuple(mapped[i].tolist()) for i in range(len(mapped))]


def test_every_document_is_one_item_of_lines_with_ends(world):
    folder, documents, record = world
    tokenizer = Tokenizer.load(folder / "data")
    expected = [tuple(token for line in document for token in [*tokenizer.encode(line), 2]) for document in documents]
    train, valid = items(folder / "data" / "train"), items(folder / "data" / "valid")
    keys = hash_keys(1, "valid", np.arange(len(documents))) < np.uint64(int(0.1 * 2**64))
    assert 30 < keys.sum() < 90
    assert valid == [item for item, key in zip(expected, keys, strict=True) if key]
    assert train == [item for item, key in zip(expected, keys, strict=True) if not key]
    assert record["documents_in_text"] == len(documents)
    assert record["splits"]["train"]["tokens"] == sum(map(len, train))
    assert record["splits"]["valid"]["documents"] == len(valid)


def test_the_folder(world):
    folder, _, record = world
    assert sorted(contents(folder / "data")) == FILES
    assert json.loads((folder / "data" / "prepare.json").read_text()) == record
    assert record["language"] == "sw"
    assert record["vocabulary"]["special_tokens"]["<mask>"] == record["vocabulary"]["size"] - 1 == 121
    assert sorted(path.name for path in folder.iterdir()) == ["data", "text.txt"]


def test_dictionary_counts_the_training_part(world):
    folder = world[0]
    vocabulary = Vocabulary.load(folder / "data" / "dict.txt")
    tokenizer = Tokenizer.load(folder / "data")
    assert vocabulary.symbols == tokenizer.vocabulary.symbols
    tokens = MappedTokens(folder / "data" / "train").tokens
    assert vocabulary.counts == np.bincount(tokens, minlength=len(tokenizer))[4:-1].tolist()


def test_same_bytes_for_any_number_of_workers(world, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_module, "INLINE_BYTES", 0)
    monkeypatch.setattr(prepare_module, "CHUNK_CHARACTERS", 1 << 12)
    folder = world[0]
    one, two = tmp_path / "one", tmp_path / "two"
    for output, workers in ((one, 1), (two, 2)):
        prepare([folder / "text.txt"], "sw", output, vocab_size=120, valid_fraction=0.1, workers=workers)
    assert contents(one) == contents(two) == contents(folder / "data")
    budgets = [tmp_path / "three", tmp_path / "four"]
    for output, workers in zip(budgets, (1, 2), strict=True):
        again(world, output, tokens=1000, workers=workers)
    assert contents(budgets[0]) == contents(budgets[1])
    assert not multiprocessing.active_children()


def test_chunks_do_not_show_in_the_result(world, tmp_path, monkeypatch):
    again(world, tmp_path / "whole", tokens=1500, valid_documents=7, valid_fraction=None)
    for characters, copied in ((1, 1), (700, 50)):
        monkeypatch.setattr(prepare_module, "CHUNK_CHARACTERS", characters)
        monkeypatch.setattr(prepare_module, "COPY_TOKENS", copied)
        again(world, tmp_path / f"parts{characters}", tokens=1500, valid_documents=7, valid_fraction=None)
        assert contents(tmp_path / f"parts{characters}") == contents(tmp_path / "whole")


def test_the_split_follows_the_seed(world, tmp_path):
    again(world, tmp_path / "same")
    again(world, tmp_path / "other", seed=2)
    data = world[0] / "data"
    assert items(tmp_path / "same" / "valid") == items(data / "valid")
    assert set(items(tmp_path / "other" / "valid")) != set(items(data / "valid"))
    assert sorted(items(tmp_path / "other" / "valid") + items(tmp_path / "other" / "train")) == \
        sorted(items(data / "valid") + items(data / "train"))


def test_valid_documents_by_number(world, tmp_path):
    record = again(world, tmp_path / "o", valid_fraction=None, valid_documents=17)
    assert record["splits"]["valid"]["documents"] == 17
    assert record["splits"]["train"]["documents"] == 600 - 17


def test_at_least_one_document_is_held_out(tmp_path):
    (tmp_path / "t.txt").write_text("a b c\nb c a\nc a b\n")
    record = prepare([tmp_path / "t.txt"], "sw", tmp_path / "o", vocab_size=20, valid_fraction=0.0)
    assert record["splits"]["valid"]["documents"] == 1
    assert record["splits"]["train"]["documents"] == 2


@pytest.mark.parametrize("budget", [50, 1000, 5000])
def test_budget_is_met_to_within_one_document(world, tmp_path, monkeypatch, budget):
    monkeypatch.setattr(prepare_module, "CHUNK_CHARACTERS", 1 << 10)
    data = world[0] / "data"
    again(world, tmp_path / "o", tokens=budget)
    chosen, everything = items(tmp_path / "o" / "train"), items(data / "train")
    total = sum(map(len, chosen))
    assert abs(total - budget) <= max(map(len, everything))
    assert len(set(chosen)) == len(chosen)  # the documents differ, so none was drawn twice
    assert set(chosen) <= set(everything)
    assert chosen == [item for item in everything if item in set(chosen)]  # in the text's order
    places = [everything.index(item) for item in chosen]
    assert places[0] > 0 or places[-1] > 2 * len(places)  # over the whole text, not its start
    assert items(tmp_path / "o" / "valid") == items(data / "valid")  # every budget has the same held-out documents


def test_a_smaller_budget_is_part_of_a_larger(world, tmp_path):
    for budget in (500, 2000):
        again(world, tmp_path / str(budget), tokens=budget)
    assert set(items(tmp_path / "500" / "train")) < set(items(tmp_path / "2000" / "train"))


def test_little_is_encoded_for_a_small_budget():
    selection = Selection(seed=1, fraction=0.001, count=1, budget=5000)
    encoded = 0
    for start in range(0, 100_000, 1000):
        indices = np.arange(start, start + 1000)
        indices = indices[selection.wanted(indices)]
        encoded += len(indices)
        selection.add(indices, np.full(len(indices), 10))
    assert encoded < 8000


@pytest.mark.parametrize("lag", [0, 5])
def test_selection_is_the_same_however_late_sizes_arrive(lag):
    sizes = np.random.default_rng(1).integers(0, 30, size=20_000)
    train, valid = Selection(4, 0.0, 50, 3000).parts(np.arange(20_000), sizes)
    selection, waiting, seen = Selection(4, 0.0, 50, 3000), [], []
    for start in range(0, 20_000, 500):
        indices = np.arange(start, start + 500)
        seen.append(indices[selection.wanted(indices)])
        waiting.append(seen[-1])
        while len(waiting) > lag:
            first = waiting.pop(0)
            selection.add(first, sizes[first])
    indices = np.concatenate(seen)
    assert len(indices) < 20_000
    late_train, late_valid = selection.parts(indices, sizes[indices])
    assert indices[late_train].tolist() == np.flatnonzero(train).tolist()
    assert indices[late_valid].tolist() == np.flatnonzero(valid).tolist()
    assert valid.sum() == 50


def test_large_vocabulary_is_stored_in_four_bytes(world, tmp_path, monkeypatch):
    monkeypatch.setattr("pretrain.data.token_dtype", lambda size: np.uint32)
    again(world, tmp_path / "o")
    assert MappedTokens(tmp_path / "o" / "train").dtype == np.uint32
    assert items(tmp_path / "o" / "train") == items(world[0] / "data" / "train")


def test_lines_without_tokens_leave_no_trace(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("one two\n\u0007\n\none\n\n\u0007\n\ntwo two\n")
    record = prepare([path], "sw", tmp_path / "o", vocab_size=20, valid_documents=1)
    found = [item for part in ("train", "valid") for item in items(tmp_path / "o" / part)]
    assert len(found) == 3
    assert all(item.count(2) == 1 and item[-1] == 2 and len(item) > 1 for item in found)
    assert record["documents_in_text"] == 4


def test_fairseq_reads_the_folder(world):
    indexed = pytest.importorskip("fairseq.data.indexed_dataset")
    dictionary = pytest.importorskip("fairseq.data").Dictionary.load(str(world[0] / "data" / "dict.txt"))
    mask = dictionary.add_symbol("<mask>")
    tokenizer = Tokenizer.load(world[0] / "data")
    assert dictionary.symbols == tokenizer.vocabulary.symbols
    assert mask == tokenizer.vocabulary.mask
    data = indexed.MMapIndexedDataset(str(world[0] / "data" / "valid"))
    assert [tuple(data[i].tolist()) for i in range(len(data))] == items(world[0] / "data" / "valid")


@pytest.mark.parametrize(("settings", "message"), [
    ({"tokens": 10**9}, r"--tokens 1000000000: the training part of the text has \d+ tokens in \d+ documents"),
    ({"tokens": 0}, "--tokens 0: expected at least 1"),
    ({"vocab_size": 100}, "--tokenizer and --vocab-size were both given"),
    ({"valid_documents": 5}, "--valid-fraction and --valid-documents were both given"),
    ({"valid_fraction": 1.5}, "--valid-fraction 1.5"),
    ({"valid_fraction": None, "valid_documents": 600}, "--valid-documents 600: expected fewer than the 600"),
    ({"valid_fraction": None, "valid_documents": 0}, "--valid-documents 0"),
    ({"workers": 0}, "--workers 0"),
    ({"tokenizer": "nowhere"}, "nowhere: expected a SentencePiece model"),
    ({"documents": "page"}, "known: auto, line, blank"),
])
def test_wrong_settings_leave_nothing(world, tmp_path, settings, message):
    with pytest.raises(UserError, match=message) as caught:
        again(world, tmp_path / "o", **settings)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_one_document_is_too_few(tmp_path):
    (tmp_path / "t.txt").write_text("only one line of text\n")
    with pytest.raises(UserError, match="has 1 document"):
        prepare([tmp_path / "t.txt"], "sw", tmp_path / "o", vocab_size=30)


def test_existing_output_is_kept_unless_told(world, tmp_path):
    output = tmp_path / "o"
    output.mkdir()
    (output / "note").write_text("mine")
    with pytest.raises(UserError, match="already exists"):
        again(world, output)
    assert contents(output) == {"note": b"mine"}
    again(world, tmp_path / "p")
    again(world, tmp_path / "p", overwrite=True)
    assert sorted(contents(tmp_path / "p")) == FILES


def test_only_prepared_text_is_replaced(world, tmp_path):
    output = tmp_path / "o"
    output.mkdir()
    (output / "note").write_text("mine")
    with pytest.raises(UserError, match=r"holds something that relexify has not written \(note\).*replaces prepared text only"):
        again(world, output, overwrite=True)
    again(world, tmp_path / "p")
    (tmp_path / "p" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match=r"holds prepared text, but also thesis.tex"):
        again(world, tmp_path / "p", overwrite=True)
    assert contents(output) == {"note": b"mine"} and contents(tmp_path / "p")["thesis.tex"] == b"mine"


@pytest.mark.parametrize(("code", "usual"), [
    ("sw", "sw"), ("EN", "en"), ("zh-hant", "zh-Hant"), ("pt-br", "pt-BR"), ("es-419", "es-419"), ("yue", "yue"),
    ("sl-rozaj-biske", "sl-rozaj-biske"), ("x-mini-sov", "x-mini-sov"), ("art-x-AB", "art-x-ab"),
    ("sr-latn-rs", "sr-Latn-RS"),
])
def test_language_codes(code, usual):
    assert check_language(code) == usual


@pytest.mark.parametrize("code", ["", "english", "e", "en-", "sw swahili", "../sw", "12", "x-"])
def test_wrong_language_codes(code):
    with pytest.raises(UserError, match="expected a BCP-47 code such as sw"):
        check_language(code)


def test_wrong_language_code_with_a_hint():
    with pytest.raises(UserError, match="did you mean 'en-US'"):
        check_language("en_US")


@pytest.mark.parametrize(("text", "count"), [
    ("5M", 5_000_000), ("200k", 200_000), ("1.5M", 1_500_000), ("1B", 10**9), ("5_000_000", 5_000_000), ("7", 7)])
def test_counts(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "5X", "-3", "0", "1.5", "M", "1e6"])
def test_wrong_counts(text):
    with pytest.raises(UserError, match="expected a whole number above 0"):
        parse_count(text)


def test_command_line(world, tmp_path, capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert "examples:" in parser.format_help()
    args = parser.parse_args([str(world[0] / "text.txt"), "--language", "sw", "--output", str(tmp_path / "o"),
                              "--vocab-size", "3000", "--tokens", "1k", "--valid-documents", "9"])
    assert run(args) == 0
    shown = capsys.readouterr()
    assert "valid: 9 documents" in shown.out
    assert "fewer than the 3000 asked for" in shown.err
    record = json.loads((tmp_path / "o" / "prepare.json").read_text())
    assert abs(record["splits"]["train"]["tokens"] - 1000) < 100


def test_help_imports_nothing_heavy():
    code = ("import sys, argparse, recipes.commands.training.prepare\n"
            "recipes.commands.training.prepare.add_arguments(argparse.ArgumentParser())\n"
            "print(sorted({'numpy', 'torch', 'sentencepiece', 'fairseq', 'datasets', 'pyarrow'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL") or not Path("/proc").is_dir(), reason="needs Linux")
def test_kill_leaves_no_output_and_no_workers(world, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(
        "import sys, time\n"
        "from adapt.text import prepare as module\n"
        "module.INLINE_BYTES, module.CHUNK_CHARACTERS = 0, 1000\n"
        "def slow(documents, real=module._watched):\n"
        "    for number, document in enumerate(real(*documents)):\n"
        "        if number == 300:\n"
        "            print('half', flush=True)\n"
        "            time.sleep(60)\n"
        "        yield document\n"
        "if __name__ == '__main__':\n"
        "    module._watched = lambda *given, real=module._watched: slow(given, real)\n"
        "    module.prepare([sys.argv[1]], 'sw', sys.argv[3], tokenizer=sys.argv[2], workers=2)\n")
    output = tmp_path / "out" / "data"
    process = subprocess.Popen([sys.executable, str(script), str(world[0] / "text.txt"), str(world[0] / "data"),
                                str(output)], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None and process.stdout.readline() == "half\n"
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert listed
    process.kill()
    process.wait()
    assert not output.exists()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in listed) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [child for child in listed if Path(f"/proc/{child}").exists()]
    process.stdout.close()
