"""Readers of tagged words: every layout by a small file, every way a file can be wrong, and the real files."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from tasks.registry import get_task
from tasks.tagging.conll import CONLL, CONLL2000
from tasks.tagging.data import Sentence, available, majority, read_file, read_labels
from tasks.tagging.panx import PANX
from tasks.tagging.task import TaggingTask
from tasks.tagging.udpos import UDPOS

SHARED = Path(os.environ.get("RELEXIFY_SHARED") or Path(__file__).resolve().parents[4] / "shared") / "data"
PAN = "Sioux\tB-ORG\nFalls\tI-ORG\n\n\n(\tO\nDakota\tB-LOC"
CONLLU = """# sent_id = 1
# text = Don't go
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
3.1\tthere\tthere\tADV\tRB\t_\t_\t_\t_\t_

# sent_id = 2
1\tủy ban\tủy ban\tNOUN\tN\t_\t0\troot\t_\t_
"""
CHUNKS = "Confidence NN B-NP\nin IN B-PP\nthe DT B-NP\npound NN I-NP\n\n. . O\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def named(task: TaggingTask, sentences: list[Sentence]) -> list[list[tuple[str, str]]]:
    return [[(word, task.labels[tag]) for word, tag in zip(item.words, item.tags, strict=True)] for item in sentences]


def test_labels_are_part_of_the_task() -> None:
    assert PANX.labels == ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
    assert len(UDPOS.labels) == 17 and (UDPOS.labels[0], UDPOS.labels[-1]) == ("ADJ", "X")
    assert len(CONLL2000.labels) == 23
    assert [get_task(name).metric for name in ("panx", "udpos", "conll2000")] == ["f1", "accuracy", "f1"]


@pytest.mark.parametrize("name", ["dev-en.tsv", "dev-en.tsv.gz", "en/dev", "en-dev"])
def test_panx(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, PAN)
    found = PANX.read(tmp_path, "dev", "en")
    assert named(PANX, found.sentences) == [[("Sioux", "B-ORG"), ("Falls", "I-ORG")], [("(", "O"), ("Dakota", "B-LOC")]]
    assert (len(found), found.words, found.dropped, found.files) == (2, 4, 0, [str(tmp_path / name)])
    assert majority(found, PANX.labels) == "O"


def test_raw_wikiann_loses_its_prefix(tmp_path: Path) -> None:
    lines = "".join(f"en:{line}\n" if line else "\n" for line in PAN.split("\n"))
    raw = PANX.read(tmp_path, "dev", "en", [write(tmp_path / "dev", lines)])
    assert raw.sha256() == PANX.read(tmp_path, "dev", "en", [write(tmp_path / "x.tsv", PAN)]).sha256()
    with pytest.raises(UserError, match=r"dev:3: 'c' lacks the 'en:'"):
        PANX.read(tmp_path, "dev", "en", [write(tmp_path / "dev", "en:a\tO\nen:b\tO\nc\tO\n")])


def test_a_colon_inside_other_words_stays(tmp_path: Path) -> None:
    found = PANX.read("", "dev", "en", [write(tmp_path / "x.tsv", "a\tO\nen:b\tO\nx:y\tO\n")])
    assert found.sentences[0].words == ("a", "en:b", "x:y")


def test_carriage_returns_and_lines_of_white_space(tmp_path: Path) -> None:
    found = UDPOS.read("", "test", "en", [write(tmp_path / "x.tsv", "a\tDET\r\n\t\r\nb\tX\r\n")])
    assert named(UDPOS, found.sentences) == [[("a", "DET")], [("b", "X")]]


def test_conllu_keeps_syntactic_words(tmp_path: Path) -> None:
    write(tmp_path / "UD_English-X" / "en_x-ud-dev.conllu", CONLLU)
    found = UDPOS.read(tmp_path, "dev", "en")
    assert named(UDPOS, found.sentences) == [[("Do", "AUX"), ("n't", "PART"), ("go", "VERB")], [("ủy ban", "NOUN")]]
    assert UDPOS.read(tmp_path / "UD_English-X", "dev", "en").sha256() == found.sha256()


def test_columns(tmp_path: Path) -> None:
    write(tmp_path / "dev.txt", "-DOCSTART- -X- O\n\n" + CHUNKS)
    found = CONLL2000.read(tmp_path, "dev", "en")
    assert named(CONLL2000, found.sentences) == [
        [("Confidence", "B-NP"), ("in", "B-PP"), ("the", "B-NP"), ("pound", "I-NP")], [(".", "O")]]
    with pytest.raises(UserError, match=r"no dev data in 'de'.*there is dev data in: en"):
        CONLL2000.read(tmp_path, "dev", "de")  # an English file says nothing about German


def test_a_word_may_be_a_no_break_space(tmp_path: Path) -> None:
    found = CONLL2000.read("", "dev", "en", [write(tmp_path / "x.txt", "a\u00a0b NN B-NP\n\u200b NN I-NP\n")])
    assert found.sentences[0].words == ("a\u00a0b", "\u200b")


def test_own_labels(tmp_path: Path) -> None:
    task = CONLL.with_labels(str(write(tmp_path / "labels.txt", "O\nB-X\nI-X\n\n")))
    assert isinstance(task, TaggingTask) and task.labels == ("O", "B-X", "I-X") and task.metric == "f1"
    assert CONLL.with_labels(labels=("N", "V")).metric == "accuracy"
    assert task.read("", "dev", "de", [write(tmp_path / "x", "a B-X\n")]).sentences == [Sentence(("a",), (1,))]
    for text, message in (("O\nO\n", r"labels.txt:2: label 'O' stands twice"), ("O\n", r"1 label; expected at least two"),
                          ("B X\nO\n", r"labels.txt:1: label 'B X' holds white space")):
        with pytest.raises(UserError, match=message):
            read_labels(write(tmp_path / "labels.txt", text))
    with pytest.raises(UserError, match=r"--labels is missing: conll has no labels"):
        CONLL.read("", "dev", "de", [tmp_path / "x"])
    with pytest.raises(UserError, match=r"--labels: panx has labels of its own"):
        PANX.with_labels("labels.txt")


@pytest.mark.parametrize(("task", "name", "text", "message"), [
    (PANX, "x.tsv", "a\tO\nb\n", r"x.tsv:2: one column, 'b'.*tags of this file were stripped"),
    (PANX, "x.tsv", "a\tO\tx\n", r"x.tsv:1: 3 columns; expected word, tab, tag: .* with `cut -f 1,3`"),
    (PANX, "x.tsv", "1\tAugust\tB-PER\tO\n", r"x.tsv:1: 4 columns; .*: cut out the number .* with `cut -f 2,3`"),
    (PANX, "x.tsv", "#\thttp://a\t[2009]\n1\tAugust\tO\tO\n", r"x.tsv:1: 3 columns; .* remark: .* `grep -v '\^#'`"),
    (PANX, "x.tsv", "a\tB-PRE\n", r"x.tsv:1: unknown tag 'B-PRE', did you mean 'B-PER'\?"),
    (UDPOS, "x.tsv", "a\tX\n\tPUNCT\n", r"x.tsv:2: an empty word with the tag 'PUNCT'"),
    (PANX, "x.tsv", "\n\n", r"x.tsv: no sentences for dev"),
    (PANX, "x.tsv", "a\tO\n\n" * 20, r"all 20 tags are 'O'; the tags of this dev file were stripped"),
    (UDPOS, "x.conllu", "1\ta\ta\tNOUN\n", r"x.conllu:1: 4 columns; CoNLL-U has 10"),
    (UDPOS, "x.conllu", CONLLU.replace("VERB", "_"), r"x.conllu:6: 'go' has no UPOS tag"),
    (UDPOS, "x.conllu", CONLLU.replace("3\tgo", "x\tgo"), r"x.conllu:6: the word's number is 'x'"),
    (CONLL2000, "x.txt", "a NN B-NP\nb B-NP\n", r"x.txt:2: 2 columns, the first line has 3"),
    (CONLL2000, "x.txt", "a\n", r"x.txt:1: one column, 'a'"),
    (PANX, "x.tsv.gz", None, r"x.tsv.gz: the gzip data is damaged"),
])
def test_malformed_files_name_the_line(tmp_path: Path, task: TaggingTask, name: str, text: str | None, message: str) -> None:
    path = tmp_path / name
    if text is None:
        path.write_bytes(gzip.compress(PAN.encode())[:-4])
    else:
        write(path, text)
    with pytest.raises(UserError, match=message):
        task.read("", "dev", "en", [path])


def test_missing_and_ambiguous_files(tmp_path: Path) -> None:
    for code in ("sw", "pt-BR"):
        write(tmp_path / f"dev-{code}.tsv", PAN)
    for bank in ("A", "B"):
        write(tmp_path / f"UD_X-{bank}" / f"en_{bank.lower()}-ud-dev.conllu", CONLLU)
    assert available(UDPOS, str(tmp_path), "dev") == ["en", "pt-BR", "sw"]
    assert available(PANX, str(tmp_path), "dev") == ["pt-BR", "sw"]
    with pytest.raises(UserError, match=r"no dev data in 'pt' .*did you mean 'pt-BR'\?"):
        PANX.read(tmp_path, "dev", "pt")
    with pytest.raises(UserError, match=r"several files fit dev in 'en'"):
        UDPOS.read(tmp_path, "dev", "en")
    with pytest.raises(UserError, match=r"unknown split"):
        PANX.read(tmp_path, "validation", "sw")


@pytest.mark.realdata
@pytest.mark.skipif(not (SHARED / "panx").is_dir(), reason="no real data")
def test_real_panx() -> None:
    assert len(available(PANX, str(SHARED / "panx"), "dev")) == 14
    for language, sentences in (("sw", 1000), ("hi", 1000), ("zh", 10000)):
        assert len(PANX.read(SHARED / "panx", "dev", language)) == sentences


@pytest.mark.realdata
@pytest.mark.skipif(not (SHARED / "ud").is_dir(), reason="no real data")
def test_real_treebanks() -> None:
    found = UDPOS.read(SHARED / "ud" / "UD_English-PUD", "test", "en")
    assert len(found) == 1000 and majority(found, UDPOS.labels) == "NOUN"
    assert len(UDPOS.read(SHARED / "ud", "test", "th")) == 1000
    assert any(" " in word for item in UDPOS.read(SHARED / "ud", "dev", "vi") for word in item.words)


@pytest.mark.realdata
@pytest.mark.skipif(not (SHARED / "udpos").is_dir(), reason="no real data")
def test_files_that_lost_words_on_their_way_through_a_table_are_refused() -> None:
    # the same table left NUL bytes further down, which are told first: they are looked for block by block
    with pytest.raises(UserError, match=r"test-bg.tsv:(16769: a NUL byte|3: an empty word with the tag 'PUNCT')"):
        read_file(SHARED / "udpos" / "test-bg.tsv", "tsv", UDPOS.labels, "bg")


@pytest.mark.parametrize(("text", "message"), [
    ("_\tNOUN\n_\tVERB\n\n_\tNOUN\n\n", "all 3 words are '_'; the text of this treebank is withheld"),
    ("1\tNOUN\n2\tVERB\n\n1\tNOUN\n\n", "the words are numbers that count from 1"),
])
def test_words_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "x.tsv", text)
    with pytest.raises(UserError, match=message):
        UDPOS.read("", "dev", "en", [str(tmp_path / "x.tsv")])


def test_a_sentence_of_a_number_or_an_underscore_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "x.tsv", "1\tNUM\n\n_\tSYM\na\tNOUN\n\n")
    assert len(UDPOS.read("", "dev", "en", [str(tmp_path / "x.tsv")])) == 2
