"""FOCUS and WECHSEL against the authors' packages (`pip install deepfocus wechsel`), from the same auxiliary vectors: same rows.

Both packages need fastText, which no constraint of ours installs; where they are absent the tests skip."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from adapt.initialise import Request, initialise
from adapt.initialise.mixtures import identical, ordinary, similar, sparse
from adapt.initialise.wechsel import NEIGHBOURS, TEMPERATURE, weigh
from adapt.text.tokenizer import Tokenizer


@pytest.fixture
def request_(journey, source) -> Request:
    return Request(source, Tokenizer.load(journey / "data" / "qab"), journey / "data" / "qab", seed=3)


def test_focus_mixes_as_its_authors_package(request_, tmp_path):
    package = pytest.importorskip("deepfocus.focus")
    spellings = request_.tokenizer.spellings
    vectors = np.random.default_rng(1).normal(size=(len(spellings), 6)).astype(np.float32)
    file = tmp_path / "pieces.vec"
    lines = [f"{piece} {' '.join(map(repr, map(float, row)))}\n" for piece, row in zip(spellings, vectors, strict=True)]
    file.write_text(f"{len(spellings)} 6\n" + "".join(lines), encoding="utf-8")
    ours, _ = initialise("focus", replace(request_, resources={"vectors": file}))
    shared = identical(request_)
    rows, table = [int(row) for row in ordinary(len(spellings))], request_.source.weight
    overlap = {spellings[row]: SimpleNamespace(auxiliary_embedding=vectors[row], source_embedding=table[shared[row]])
               for row in rows if row in shared}
    new = {spellings[row]: SimpleNamespace(auxiliary_embedding=vectors[row], target=SimpleNamespace(id=row))
           for row in rows if row not in shared}
    assert overlap and new
    theirs = package.focus_additional_token_initialization(overlap, new, torch.zeros_like(ours), device="cpu")
    made = [one.target.id for one in new.values()]
    assert torch.allclose(ours[made], theirs[made], rtol=1e-4, atol=1e-5)


def test_wechsel_mixes_as_its_authors_package(request_):
    package = pytest.importorskip("wechsel")
    table = request_.source.weight.double().numpy()
    draw = np.random.default_rng(2)
    target, source = draw.normal(size=(40, 6)), draw.normal(size=(len(table), 6))
    names = [str(row) for row in range(len(table))]
    of = SimpleNamespace(vocab={name: row for row, name in enumerate(names)}, special_tokens_map={},
                         convert_ids_to_tokens=lambda ids: [names[int(i)] for i in ids])

    class New:
        def __init__(self) -> None:
            self.vocab = {str(row): row for row in range(40)}

        def __len__(self) -> int:
            return 40

        def convert_ids_to_tokens(self, ids: object) -> object:
            return str(ids)

    theirs, missing, _ = package.create_target_embeddings(source, target, of, New(), table, neighbors=NEIGHBOURS,
                                                          temperature=TEMPERATURE, verbose=False)
    every = np.arange(len(table))
    ours = sparse(similar(target, source, np.arange(40), every, weigh), (40, len(table))) @ table
    assert not missing and ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)
