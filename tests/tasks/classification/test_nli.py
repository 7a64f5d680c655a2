"""Every official format of NLI data by a small file, and every way in which such a file can be wrong."""

from __future__ import annotations

import gzip
import json
import logging
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from pretrain.base.errors import UserError
from tasks.classification.nli import LABELS, LANGUAGES, available, find_files, read, read_file
from tasks.registry import get_task

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
MULTINLI = {"annotator_labels": ["neutral"], "genre": "fiction", "pairID": "31193n", "promptID": "31193",
            "sentence1_parse": "(ROOT x)", "sentence2_parse": "(ROOT y)"}
XNLI_HEADER = ("language\tgold_label\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
               "sentence2_parse\tsentence1\tsentence2\tpromptID\tpairID\tgenre\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\t"
               "sentence1_tokenized\tsentence2_tokenized\tmatch")


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def xnli_row(language: str, label: str, first: str, second: str, number: int) -> str:
    return "\t".join([language, label, "", "", "", "", first, second, "1", str(number), "facetoface", *[label] * 5,
                      first, second, "True"])


def facts(path: Path, language: str | None = None) -> list[tuple[str, str, str | None, int | None]]:
    return [(e.id, e.text_a, e.text_b, e.label) for e in read_file(path, language).examples]


def test_multinli_jsonl_drops_and_counts_pairs_without_gold_label(tmp_path: Path, caplog: Any) -> None:
    rows = [{**MULTINLI, "sentence1": "A dog.", "sentence2": "An animal.", "gold_label": "entailment"},
            {**MULTINLI, "sentence1": "A dog.", "sentence2": "It?", "gold_label": "-"},
            {**MULTINLI, "sentence1": "A dog.", "sentence2": "A cat.", "gold_label": "contradiction", "pairID": "7c"}]
    path = write(tmp_path / "multinli_1.0_train.jsonl", *map(json.dumps, rows))
    with caplog.at_level(logging.WARNING):
        loaded = read_file(path)
    assert [(e.id, e.label) for e in loaded.examples] == [("31193n", 0), ("7c", 2)]
    assert loaded.dropped == 1
    assert "1 of 3 pairs have no gold label" in caplog.text


def test_multinli_official_tsv(tmp_path: Path) -> None:
    header = ("gold_label\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\t"
              "sentence1\tsentence2\tpromptID\tpairID\tgenre\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5")
    path = write(tmp_path / "multinli_1.0_train.txt", header,
                 "neutral\t( a )\t( b )\t(ROOT)\t(ROOT)\tHe said \"no.\tA 'word\t1\t1n\tfiction\tneutral\t\t\t\t",
                 "contradiction\t( a )\t( b )\t(ROOT)\t(ROOT)\tOne\"\tTwo\t2\t2c\tfiction\tcontradiction")
    assert facts(path) == [("1n", 'He said "no.', "A 'word", 1), ("2c", 'One"', "Two", 2)]


def test_glue_and_xnli_mt_tsv(tmp_path: Path) -> None:
    glue = write(tmp_path / "train.tsv", "index\tpromptID\tpairID\tgenre\tsentence1\tsentence2\tlabel1\tgold_label",
                 "0\t1\t1n\tfiction\tOne\tTwo\tneutral\tneutral")
    assert facts(glue) == [("1n", "One", "Two", 1)]
    translated = write(tmp_path / "multinli.train.sw.tsv", "premise\thypo\tlabel", "Moja\tMbili\tcontradictory")
    assert facts(translated) == [("0", "Moja", "Mbili", 2)]
    assert find_files(str(tmp_path), "train", "sw") == [translated]


@pytest.mark.parametrize("suffix", [".tsv", ".tsv.gz"])
def test_xnli_official_tsv_reads_the_rows_of_one_language(tmp_path: Path, suffix: str) -> None:
    lines = [XNLI_HEADER, xnli_row("ar", "neutral", "أ", "ب", 1), xnli_row("en", "neutral", "Well, I'm", "I am", 1),
             xnli_row("ar", "entailment", "ج", "د", 2), xnli_row("en", "contradiction", "x y", "z", 2)]
    text = "".join(f"{line}\n" for line in lines).encode()
    (tmp_path / f"xnli.test{suffix}").write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    assert [(e.text_a, e.label) for e in read(str(tmp_path), "test", "ar").examples] == [("أ", 1), ("ج", 0)]
    assert [e.label for e in read(str(tmp_path), "test", "en").examples] == [1, 2]
    with pytest.raises(UserError, match=r"no pairs in 'sw'; the file holds ar, en"):
        read(str(tmp_path), "test", "sw")


def test_xnli_official_jsonl(tmp_path: Path) -> None:
    rows = [{"language": code, "gold_label": label, "sentence1": code + "1", "sentence2": code + "2", "pairID": number}
            for number, (code, label) in enumerate([("th", "neutral"), ("zh", "entailment"), ("th", "contradiction")])]
    write(tmp_path / "xnli.dev.jsonl", *(json.dumps(row) for row in rows))
    loaded = read(str(tmp_path), "dev", "th")
    assert [(e.text_a, e.label) for e in loaded.examples] == [("th1", 1), ("th1", 2)]


def test_one_file_per_language_with_label_indices_or_names(tmp_path: Path) -> None:
    write(tmp_path / "dev-de.tsv", "id\tpremise\thypothesis\tlabel", "0\tEins\tZwei\t2", "1\tA\u2028B\tC\x85D\tneutral")
    assert [(e.id, e.text_a, e.label) for e in read(str(tmp_path), "dev", "de").examples] == [
        ("0", "Eins", 2), ("1", "A\u2028B", 1)]


def test_label_order_is_the_tasks_not_the_datas(tmp_path: Path) -> None:
    path = write(tmp_path / "train-en.tsv", "premise\thypothesis\tlabel", *["a\tb\tcontradiction"] * 5, "a\tb\tneutral",
                 "a\tb\tentailment")
    assert [e.label for e in read_file(path).examples] == [2] * 5 + [1, 0]
    assert get_task("xnli").labels == LABELS == ("entailment", "neutral", "contradiction")
    assert len(LANGUAGES) == 15


def test_xtreme_layout_without_header(tmp_path: Path) -> None:
    write(tmp_path / "dev-sw.tsv", "Habari\tNzuri\tneutral", "Moja\tMbili\tentailment")
    assert [e.label for e in read(str(tmp_path), "dev", "sw").examples] == [1, 0]
    stripped = write(tmp_path / "test-sw.tsv", "Habari\tNzuri")
    with pytest.raises(UserError, match=r"labels of this file were stripped"):
        read_file(stripped)


@pytest.mark.parametrize(("name", "others"), [("train-en.tsv", ("multinli_1.0_train.jsonl",)),
                                              ("multinli_1.0_train.jsonl", ("multinli_1.0_train.txt", "train.tsv")),
                                              ("multinli_1.0_train.txt", ("train_subset.tsv",)),
                                              ("train.tsv", ("train_subset.tsv", "train-sw.tsv")),
                                              ("train_subset.tsv", ("train-sw.tsv", "dev.tsv"))])
def test_search_for_english_training_data(tmp_path: Path, name: str, others: tuple[str, ...]) -> None:
    for each in (name, *others):
        (tmp_path / each).touch()
    assert [path.name for path in find_files(str(tmp_path), "train", "en")] == [name]


def test_several_equally_good_files_are_an_error(tmp_path: Path) -> None:
    for name in ("train_a.tsv", "train_b.tsv"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"train_a.tsv, train_b.tsv; name the right one with --train-file"):
        find_files(str(tmp_path), "train", "en")


def test_named_training_files_are_read_together(tmp_path: Path) -> None:
    one = write(tmp_path / "one.tsv", "premise\thypothesis\tlabel", "a\tb\t0")
    two = write(tmp_path / "two.jsonl", json.dumps({"premise": "c", "hypothesis": "d", "label": "neutral"}))
    loaded = get_task("xnli").read(tmp_path, "train", "en", [one, two])
    assert [(e.text_a, e.label) for e in loaded.examples] == [("a", 0), ("c", 1)]
    assert loaded.files == [str(one), str(two)]


def test_same_data_has_the_same_hash_in_every_format(tmp_path: Path) -> None:
    tsv = write(tmp_path / "a.tsv", "premise\thypothesis\tlabel", "a\tb\t0", "c\td\t1")
    rows = [{"sentence1": "a", "sentence2": "b", "gold_label": "entailment"},
            {"sentence1": "c", "sentence2": "d", "gold_label": "neutral"}]
    jsonl = write(tmp_path / "a.jsonl", *map(json.dumps, rows))
    assert read_file(tsv).sha256() == read_file(jsonl).sha256()


@pytest.mark.parametrize(("lines", "message"), [
    (["a,b,c", "x,y,0"], r"bad.tsv:1: wrong columns: found 'a,b,c'; expected a header with premise"),
    (["premise\tclaim\tlabel", "x\ty\t0"], r"bad.tsv:1: wrong columns: found 'premise', 'claim', 'label'"),
    (["id\tpremise\thypothesis", "0\tx\ty"], r"bad.tsv:1: no label column: .* stripped"),
    (["premise\thypothesis\tlabel", "x\ty\t0", "x\ty\tmaybe"], r"bad.tsv:3: unknown label 'maybe'; expected ent"),
    (["premise\thypothesis\tlabel", "x\ty\t3"], r"bad.tsv:2: unknown label '3'"),
    (["premise\thypothesis\tlabel", "x\t \t1"], r"bad.tsv:2: empty hypothesis"),
    (["premise\thypothesis\tlabel", "\ty\t1"], r"bad.tsv:2: empty premise"),
    (["premise\thypothesis\tlabel", "x\ty"], r"bad.tsv:2: 2 columns, the header has 3; the line is cut short"),
    (["premise\thypothesis\tlabel", "x\ty\tz\t1"], r"bad.tsv:2: 4 columns, the header has 3; a text holds a tab"),
    (["premise\thypothesis\tlabel", *["x\ty\t-"] * 3], r"none of the 3 pairs has a gold label"),
])
def test_bad_tsv(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_file(write(tmp_path / "bad.tsv", *lines))


@pytest.mark.parametrize(("lines", "message"), [
    (['{"premise": "a", "hypothesis": "b", "label": 0}', '{"premise": "a"'], r"bad.jsonl:2: expected one JSON object"),
    (["[1, 2]"], r"bad.jsonl:1: expected a JSON object, got list"),
    (['{"premise": "a", "label": 0}'], r"bad.jsonl:1: wrong columns: found 'premise', 'label'"),
    (['{"premise": "a", "hypothesis": "b", "label": 0}', '{"premise": "a", "label": 0}'], r":2: field 'hypothesis'"),
    (['{"premise": "a", "hypothesis": 3, "label": 0}'], r"bad.jsonl:1: hypothesis is 3; expected a text"),
])
def test_bad_jsonl(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_file(write(tmp_path / "bad.jsonl", *lines))


def test_bad_bytes_and_truncated_gzip(tmp_path: Path) -> None:
    bad = tmp_path / "latin.tsv"
    bad.write_bytes(b"premise\thypothesis\tlabel\ncaf\xe9 \xe9\tb\t0\n")
    with pytest.raises(UserError, match=r"latin.tsv:2: expected UTF-8 text, found byte 0xe9"):
        read_file(bad)
    whole = gzip.compress(b"premise\thypothesis\tlabel\n" + b"".join(b"%d a\tb\t0\n" % i for i in range(9000)))
    cut = tmp_path / "cut.tsv.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut.tsv.gz: the gzip data is damaged"):
        read_file(cut)
    with pytest.raises(UserError, match=r"no.tsv: expected a file of inference pairs.*found nothing"):
        read_file(tmp_path / "no.tsv")


@pytest.mark.parametrize(("labels", "message"), [(["neutral"] * 20, r"all 20 labels are 'neutral'; .*placeholder"),
                                                 ([""] * 5, r"5 of 5 rows have no label"),
                                                 (["0", "", "1"], r"1 of 3 rows have no label \(first: id 1\)")])
def test_stripped_labels_are_an_error(tmp_path: Path, labels: list[str], message: str) -> None:
    rows = [f"{number}\tx\ty\t{label}" for number, label in enumerate(labels)]
    write(tmp_path / "test-sw.tsv", "id\tpremise\thypothesis\tlabel", *rows)
    with pytest.raises(UserError, match=message):
        get_task("xnli").read(tmp_path, "test", "sw")


def test_missing_language_names_those_that_are_there(tmp_path: Path) -> None:
    for code in ("sw", "qaa"):
        write(tmp_path / f"test-{code}.tsv", "premise\thypothesis\tlabel", "x\ty\t0", "x\ty\t1")
    assert len(get_task("xnli").read(tmp_path, "test", "qaa")) == 2
    with pytest.raises(UserError, match=r"no test data in 'de' .*there is test data in: qaa, sw; check --data"):
        get_task("xnli").read(tmp_path, "test", "de")
    with pytest.raises(UserError, match=r"no test data in 'sw-KE' .*in: qaa, sw, did you mean 'sw'\?"):
        get_task("xnli").read(tmp_path, "test", "sw-KE")
    with pytest.raises(UserError, match=r"no train data in 'qaa'.*holds no train data of xnli at all.*--train-file"):
        get_task("xnli").read(tmp_path, "train", "qaa")
    with pytest.raises(UserError, match=r"expected a folder with the task's files, found nothing"):
        get_task("xnli").read(tmp_path / "nowhere", "test", "sw")
    assert available(str(tmp_path), "test") == ["qaa", "sw"]


def test_wrong_names() -> None:
    with pytest.raises(UserError, match=r"unknown task 'xnil', did you mean 'xnli'\?"):
        get_task("xnil")
    with pytest.raises(UserError, match=r"unknown split of xnli 'tset', did you mean 'test'\?"):
        get_task("xnli").read(".", "tset", "en")
    with pytest.raises(UserError, match=r"language 'sw_KE': expected a BCP-47 code"):
        get_task("xnli").read(".", "test", "sw_KE")


class Table(list[dict[str, Any]]):
    """As much of `datasets.Dataset` as the reader uses."""

    column_names = ("premise", "hypothesis", "label")

    def __init__(self, rows: list[dict[str, Any]], names: list[str]):
        super().__init__(rows)
        self.features = {"label": types.SimpleNamespace(names=names)}


def test_hub_data_only_when_named_and_labels_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(*args: Any, **kwargs: Any) -> Table:
        asked.append((args, kwargs))
        return Table([{"premise": "a", "hypothesis": "b", "label": 0}, {"premise": "c", "hypothesis": "d", "label": 1},
                      {"premise": "e", "hypothesis": "f", "label": -1}], ["contradiction", "entailment", "neutral"])

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    loaded = get_task("xnli").read("hf:facebook/xnli", "dev", "sw")
    assert asked == [(("facebook/xnli", "sw"), {"split": "validation", "revision": None})]
    assert [e.label for e in loaded.examples] == [2, 0] and loaded.dropped == 1

    def fails(*args: Any, **kwargs: Any) -> Table:
        raise ConnectionError("no network")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=fails))
    with pytest.raises(UserError, match=r"hf:facebook/xnli: could not load 'test' in 'sw' from the hub: no network"):
        get_task("xnli").read("hf:facebook/xnli", "test", "sw")


@pytest.mark.realdata
@pytest.mark.skipif(not (SHARED / "xnli").is_dir(), reason="no real data")
def test_real_xnli_and_multinli() -> None:
    task = get_task("xnli")
    assert available(str(SHARED / "xnli"), "test") == sorted(LANGUAGES)
    for language in LANGUAGES:
        loaded = task.read(SHARED / "xnli", "test", language)
        assert len(loaded) == 5010 and [sum(e.label == i for e in loaded.examples) for i in range(3)] == [1670] * 3
    assert len(task.read(SHARED / "xnli", "dev", "en")) == 2490
    assert len(task.read(SHARED / "mnli", "train", "en")) == 15967
    assert len(task.read(SHARED / "mnli", "dev_matched", "en")) == 9815


def test_json_lines_under_the_name_of_a_table(tmp_path):
    path = tmp_path / "train-en.txt"
    path.write_text("\n".join(json.dumps({"premise": f"p{n}", "hypothesis": "h", "label": "neutral"}) for n in range(3)) + "\n")
    assert [example.text_a for example in read_file(path).examples] == ["p0", "p1", "p2"]


@pytest.mark.parametrize(("premise", "told"), [('"He said ""no"""', True), ('"No", he said', False), ('"No"', False)])
def test_quotes_of_other_programs_go_and_are_told(tmp_path, caplog, premise, told):
    path = tmp_path / "t.tsv"
    path.write_text(f"premise\thypothesis\tlabel\n{premise}\th\tneutral\n")
    assert read_file(path).examples[0].text_a == ('He said "no"' if told else premise)
    assert ("the quotes around them go" in caplog.text) is told
