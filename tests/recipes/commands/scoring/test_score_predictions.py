"""`relexify score-predictions`: one JSON object from any system's predictions, without a model, torch or fairseq."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recipes.cli import main

ROOT = Path(__file__).resolve().parents[4]
CONTEXT = "The black cat sat on the mat. 红军 กินข้าว"


def gold(folder: Path, answers: dict[str, list[str]]) -> str:
    entries = [{"id": identifier, "question": "?", "is_impossible": not texts,
                "answers": [{"text": text, "answer_start": CONTEXT.index(text)} for text in texts]}
               for identifier, texts in answers.items()]
    return write(folder, "gold.json", {"data": [{"title": "T", "paragraphs": [{"context": CONTEXT, "qas": entries}]}]})


def write(folder: Path, name: str, content: Any) -> str:
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(folder / name)


def scored(capsys: Any, *words: str) -> tuple[dict[str, Any], str]:
    """(the object on stdout, what stands on stderr) of a call that succeeds."""
    assert main(["score-predictions", *words]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    return json.loads(out), err


def refused(capsys: Any, *words: str) -> str:
    """The one line on stderr of a call that is refused."""
    assert main(["score-predictions", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("relexify: error: ")
    return str(err)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return ["--gold", gold(tmp_path, {"a": ["cat"], "b": ["black cat"]}),
            "--predictions", write(tmp_path, "predictions.json", {"a": "The cat", "b": "cat"})]


@pytest.mark.parametrize(("words", "language", "rules"), [
    (["--task", "squad"], "en", "squad-1.1"), (["--task", "xquad", "--language", "de"], "de", "squad-1.1"),
    (["--task", "tydiqa", "--language", "sw"], "sw", "squad-1.1"),
    (["--task", "mlqa", "--language", "en"], "en", "mlqa-1 (en)")])
def test_one_object(capsys: Any, files: list[str], words: list[str], language: str, rules: str) -> None:
    result, err = scored(capsys, *words, *files)
    assert result == {"task": words[1], "language": language, "rules": rules, "exact_match": 50.0,
                      "f1": pytest.approx(100 * (1 + 2 / 3) / 2), "total": 2, "missing": 0}
    assert err == ""


def test_languages_without_spaces_get_one_figure_more(capsys: Any, tmp_path: Path) -> None:
    files = ["--gold", gold(tmp_path, {"a": ["ข้าว"]}), "--predictions", write(tmp_path, "p.json", {"a": "กินข้าว"})]
    result, _ = scored(capsys, "--task", "xquad", "--language", "th", *files)
    assert (result["f1"], result["f1_segmented"]) == (0.0, pytest.approx(75.0))
    result, _ = scored(capsys, "--task", "mlqa", "--language", "th", *files)
    assert result["rules"].startswith("mlqa+ (th: not an MLQA language") and result["f1"] == pytest.approx(75.0)
    result, _ = scored(capsys, "--task", "mlqa", "--language", "de", *files)
    assert (result["rules"], result["f1"], "f1_segmented" in result) == ("mlqa-1 (de)", 0.0, False)


def test_squad2_prints_every_official_figure(capsys: Any, tmp_path: Path) -> None:
    words = ["--task", "squad2", "--gold", gold(tmp_path, {"a": ["cat"], "b": ["mat"], "c": []}),
             "--predictions", write(tmp_path, "p.json", {"a": "cat", "b": "cat", "c": "cat"})]
    result, _ = scored(capsys, *words)
    assert "best_exact" not in result and result["exact_match"] == result["exact"] == pytest.approx(100 / 3)
    words += ["--no-answer-probabilities", write(tmp_path, "n.json", {"a": 0.1, "b": 0.5, "c": 0.9})]
    result, _ = scored(capsys, *words, "--no-answer-threshold", "0.5")
    assert result == {"task": "squad2", "language": "en", "rules": "squad-2.0", "exact_match": pytest.approx(200 / 3),
                      "exact": pytest.approx(200 / 3), "f1": pytest.approx(200 / 3), "total": 3, "HasAns_exact": 50.0,
                      "HasAns_f1": 50.0, "HasAns_total": 2, "NoAns_exact": 100.0, "NoAns_f1": 100.0, "NoAns_total": 1,
                      "best_exact": pytest.approx(200 / 3), "best_exact_thresh": 0.1, "best_f1": pytest.approx(200 / 3),
                      "best_f1_thresh": 0.1, "missing": 0}


def test_a_gold_file_of_squad1_scores_as_squad2(capsys: Any, files: list[str]) -> None:
    result, _ = scored(capsys, "--task", "squad2", *files)
    assert result["HasAns_total"] == 2 and "NoAns_total" not in result


def test_tydiqa_gold_of_all_languages_is_filtered(capsys: Any, tmp_path: Path) -> None:
    files = ["--gold", gold(tmp_path, {"swahili-1": ["cat"], "english-1": ["mat"]}),
             "--predictions", write(tmp_path, "p.json", {"swahili-1": "cat"})]
    result, err = scored(capsys, "--task", "tydiqa", "--language", "sw", *files)
    assert (result["exact_match"], result["total"], err) == (100.0, 1, "")


def test_missing_and_unknown_ids_are_warnings(tmp_path: Path, files: list[str]) -> None:
    write(tmp_path, "predictions.json", {"a": "cat", "zzz": "?"})
    run = subprocess.run([sys.executable, "-m", "recipes.cli", "score-predictions", "--task", "squad", *files],
                         capture_output=True, text=True, cwd=ROOT, check=True)
    assert json.loads(run.stdout)["missing"] == 1
    assert run.stderr.splitlines() == [
        "relexify: warning: 1 of 2 questions have no prediction and score 0 (first: id b)",
        "relexify: warning: 1 predictions are for questions that are not in the gold file and do not count (first: id zzz)"]


@pytest.mark.parametrize(("name", "content", "message"), [
    ("predictions.json", ["cat"], r"predictions.json: expected a file of predictions: one JSON object, .*, got a list"),
    ("predictions.json", {"a": "cat", "b": 3}, r"the prediction for question id 'b' is '3' (int); expected a text"),
    ("predictions.json", {"a": "cat", "b": None}, r"question id 'b' is 'None' (NoneType); expected a text, empty for no"),
    ("predictions.json", '{"a": "cat"', r"predictions.json:1: expected a file of predictions, but it is not valid JSON"),
    ("predictions.json", {"x": "cat"}, r"none of the 2 questions has a prediction (first: id a)"),
    ("gold.json", {"a": "cat"}, r"gold.json: 'data' is missing"),
    ("gold.json", {"data": []}, r"no questions to score; the gold file is empty"),
])
def test_bad_files(capsys: Any, tmp_path: Path, files: list[str], name: str, content: Any, message: str) -> None:
    write(tmp_path, name, content)
    err = refused(capsys, "--task", "squad", *files)
    assert all(part in err for part in message.split(".*"))


def test_bad_words(capsys: Any, tmp_path: Path, files: list[str]) -> None:
    assert "unknown question-answering task 'squat', did you mean 'squad'?" in refused(capsys, "--task", "squat", *files)
    assert "--language is missing" in refused(capsys, "--task", "mlqa", *files)
    assert "--language is missing" in refused(capsys, "--task", "xquad", *files)
    assert "language 'german': expected a BCP-47 code" in refused(
        capsys, "--task", "xquad", "--language", "german", *files)
    assert "is for --task squad2, not squad" in refused(
        capsys, "--task", "squad", "--no-answer-probabilities", "x", *files)
    assert "--no-answer-threshold needs --no-answer-probabilities" in refused(
        capsys, "--task", "squad2", "--no-answer-threshold", "0.5", *files)
    missing = [*files[:2], "--predictions", str(tmp_path / "no.json")]
    assert "no.json: expected a file of predictions, found nothing" in refused(capsys, "--task", "squad", *missing)


@pytest.mark.parametrize(("content", "message"), [
    ({"a": 0.1}, "1 predictions have no no-answer probability (first: id b)"),
    ({"a": 0.1, "b": "0.2"}, "the no-answer probability of question id 'b' is '0.2'; expected a number"),
    ({"a": 0.1, "b": True}, "is 'True'; expected a number"),
    ('{"a": 0.1, "b": NaN}', "is 'nan'; expected a number"),
])
def test_bad_probabilities(capsys: Any, tmp_path: Path, files: list[str], content: Any, message: str) -> None:
    path = write(tmp_path, "n.json", content)
    assert message in refused(capsys, "--task", "squad2", "--no-answer-probabilities", path, *files)


def test_runs_without_torch_and_fairseq(files: list[str]) -> None:
    code = ("import sys\n"
            "for name in ('torch', 'fairseq', 'numpy', 'sentencepiece', 'datasets', 'transformers'):\n"
            "    sys.modules[name] = None\n"
            "from recipes.cli import main\n"
            "sys.exit(main(sys.argv[1:]))")
    words = ["score-predictions", "--task", "mlqa", "--language", "en", *files]
    run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["exact_match"] == 50.0
