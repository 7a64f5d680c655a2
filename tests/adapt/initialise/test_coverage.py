"""How much an initialiser knew: rows and running pieces counted by hand, and where the count is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapt.initialise import Request, initialise, initialise_pair, special_pairs
from adapt.initialise import coverage as module
from adapt.initialise.coverage import NAMES, coverage, described, of_checkpoint
from adapt.initialise.mixtures import identical, mix, sparse
from adapt.text.tokenizer import Tokenizer
from pretrain.base.vocabulary import SPECIALS
from pretrain.data import MappedTokens

FIRST = len(SPECIALS)


@pytest.fixture
def request_(journey: Path, source) -> Request:
    return Request(source, Tokenizer.load(journey / "data" / "qab"), seed=3)


class Text:
    """Prepared text of these pieces."""

    def __init__(self, *pieces: int):
        self.tokens = np.array(pieces, dtype=np.uint16)


@pytest.fixture
def mixed(request_: Request, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Request:
    """A request whose rows 0 (`<s>`), 5, 7 and the mask's were made of the source's rows; its text has pieces 5 5 9 7 9 9."""
    monkeypatch.setattr(module, "prepared", lambda request: Text(0, 5, 5, 9, 2, 0, 7, 9, 9, 2))
    request = replace(request_, data=tmp_path)
    rows = request.shape[0]
    weights = {(0, 0): 1.0, (5, 6): 0.5, (5, 8): 0.5, (7, 9): 1.0, (rows - 1, 10): 1.0}
    mix(request, sparse(weights, (rows, len(request.source.tokenizer))))
    return request


def test_ordinary_rows_and_their_share_of_the_text_by_hand(mixed):
    assert coverage(mixed) == {"rows_from_source": 2, "rows_ordinary": mixed.shape[0] - 5, "text_from_source": 0.5}  # 5 5 7 of 6


def test_only_the_begin_of_a_long_text_is_counted(mixed, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 4)
    assert coverage(mixed)["text_from_source"] == pytest.approx(2 / 3, rel=1e-5)  # 5 5 of 5 5 9


def test_without_a_text_or_with_specials_alone_there_is_no_share(mixed, monkeypatch):
    assert set(coverage(replace(mixed, data=None))) == set(NAMES[:2])
    monkeypatch.setattr(module, "prepared", lambda request: Text(0, 2, 2))
    assert set(coverage(mixed)) == set(NAMES[:2])


@pytest.mark.parametrize("name", ["random", "mean", "gaussian", "script"])
def test_who_only_draws_says_nothing(request_, name):
    initialise(name, request_)
    assert coverage(request_) == {}


def test_copied_rows_count(request_, journey):
    request = replace(request_, data=journey / "data" / "qab")
    initialise("overlap", request)
    shared = sorted(row for row in identical(request) if FIRST <= row < request.shape[0] - 1)
    running = [piece for piece in MappedTokens(request.data / "train").tokens.tolist() if FIRST <= piece < request.shape[0] - 1]
    found = coverage(request)
    assert found["rows_from_source"] == len(shared) > 0
    assert found["text_from_source"] == pytest.approx(sum(piece in shared for piece in running) / len(running), rel=1e-5)
    assert 0 < found["text_from_source"] < 1  # `7 !` ends every line in both languages


@pytest.mark.parametrize("name", ["subword-mean", "lexicon", "focus", "frequency"])
def test_rows_that_count_are_those_that_are_not_drawn(name, request_, journey, tmp_path):
    words = [list(dict.fromkeys((journey / f"{code}.txt").read_text().split()))[:10] for code in ("qaa", "qab")]
    dictionary = tmp_path / "d.tsv"
    dictionary.write_text("".join(f"{one}\t{other}\n" for one, other in zip(*words, strict=True)))
    request = replace(request_, data=journey / "data" / "qab", from_source=[],
                      resources={"dictionary": dictionary} if name == "lexicon" else {})
    made, drawn = initialise(name, request)[0], initialise("gaussian", request_)[0]
    differ = (made != drawn).any(1)[FIRST:-1]
    assert coverage(request)["rows_from_source"] == int(differ.sum()) > 0


def test_the_tables_of_a_pair_count_once(electra, request_):
    from adapt.artefacts.embedding import Embedding

    request = replace(request_, source=Embedding.load(electra / "embedding"))
    initialise_pair("overlap", request, "copy", "none")
    assert coverage(request)["rows_from_source"] == len(set(identical(request)) - _specials(request))


def _specials(request: Request) -> set[int]:
    return {new for _, new in special_pairs(request.source.tokenizer, request.tokenizer)}


def test_the_line_of_a_summary():
    made = {"initialiser": "lexicon", "rows_from_source": 5120, "rows_ordinary": 7995, "text_from_source": 0.83149}
    assert described(made) == ("initialiser lexicon: 5,120 of 7,995 rows were copied or mixed from the source's, 83.1% of the "
                               "running pieces of the text; the others were drawn")
    assert described({"initialiser": "random"}) == ""


def test_a_checkpoint_from_before_it_was_counted_has_none():
    assert of_checkpoint({"model": {}}) == of_checkpoint({"task_state": None}) == of_checkpoint({"task_state": {}}) == {}


@pytest.fixture(scope="module")
def adapted(journey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adaptation of two budgets whose start copies what both languages write alike."""
    pytest.importorskip("fairseq")
    from recipes.cli import main

    output = tmp_path_factory.mktemp("coverage") / "qab"
    assert main(["adapt", "--body", str(journey / "en"), "--data", str(journey / "data" / "qab"), "--output", str(output),
                 "--initialiser", "overlap", "--budgets", "4,8", "--lr", "1e-2", "--batch-size", "4", "--tokens-per-sample", "32",
                 "--validate-every", "4", "--threads", "1", "--quiet"]) == 0
    return output


def counted(journey: Path, source) -> dict[str, object]:
    request = Request(source, Tokenizer.load(journey / "data" / "qab"), journey / "data" / "qab")
    initialise("overlap", request)
    return coverage(request)


def test_the_record_of_every_budget_has_it(adapted, journey, source):
    from adapt.artefacts.embedding import Embedding

    expected = counted(journey, source)
    for place in (adapted, adapted / "at" / "000004", adapted / "at" / "000008"):
        made = Embedding.load(place).made
        assert {name: made.get(name) for name in NAMES} == expected


def test_inspect_shows_it(adapted, journey, source, capsys):
    from recipes.cli import main

    assert main(["inspect", str(adapted)]) == 0
    shown = capsys.readouterr().out
    assert all(f"{name}: {value}" in shown for name, value in counted(journey, source).items())


def test_a_checkpoint_and_what_is_split_from_it_have_it(journey, source, tmp_path, capsys):
    pytest.importorskip("fairseq")
    from adapt.artefacts.embedding import Embedding
    from recipes.cli import main
    from tests.adapt.test_language import ADAPT
    from tests.training import state, train

    folder = train(journey / "data" / "qab", tmp_path / "run", "adapt", ADAPT, body=journey / "en", max_update=4,
                   initialiser="overlap")
    expected = counted(journey, source)
    assert of_checkpoint(state(folder)) == expected
    assert main(["split", str(folder / "checkpoint_last.pt"), "--output", str(tmp_path / "out")]) == 0
    made = Embedding.load(tmp_path / "out").made
    assert {name: made.get(name) for name in NAMES} == expected


def test_the_summary_says_it(journey, source, tmp_path, capsys):
    pytest.importorskip("fairseq")
    from recipes.cli import main

    given = ["adapt", "--body", str(journey / "en"), "--data", str(journey / "data" / "qab"), "--lr", "1e-2", "--updates", "2",
             "--batch-size", "4", "--tokens-per-sample", "32", "--threads", "1", "--quiet"]
    for name, says in (("overlap", True), ("random", False)):
        assert main([*given, "--initialiser", name, "--output", str(tmp_path / name)]) == 0
        line = described({"initialiser": name, **counted(journey, source)})
        assert (line in capsys.readouterr().out) is says
