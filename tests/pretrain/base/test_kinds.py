"""`--overwrite` replaces an artefact by one of its kind; anything else is refused with what is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_folder, refuse_existing
from pretrain.base.kinds import kind_of

OLD = Path(__file__).resolve().parents[2] / "fixtures" / "artefacts"


@pytest.mark.parametrize(("place", "kind"), [
    ("prepared-qab", "prepared text"), ("roberta", "a body with an embedding"), ("electra/body", "a body"),
    ("xnli", "a task body"), ("squad", "a task body"), ("qab", "an embedding"), ("scores", "scores")])
def test_every_artefact_is_known_and_holds_nothing_foreign(place, kind):
    found = kind_of(OLD / place)
    assert found is not None and found.name == kind and found.foreign(OLD / place) == []
    refuse_existing(OLD / place, overwrite=True, kind=kind)


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


@pytest.mark.parametrize(("names", "said"), [
    (["thesis.tex", "data/a"], r"something that relexify has not written \(data, thesis.tex\)"),
    (["embedding.json"], "holds an embedding, and --overwrite replaces prepared text only"),
    (["prepare.json", "thesis.tex"], "holds prepared text, but also thesis.tex"),
])
def test_anything_else_is_refused_with_what_is_in_it(names, said, tmp_path):
    out = files(tmp_path / "out", *names)
    with pytest.raises(UserError, match=said), atomic_folder(out, overwrite=True) as folder:
        files(folder, "prepare.json")
    assert all((out / name).exists() for name in names)
    assert [place.name for place in tmp_path.iterdir()] == ["out"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="is a file"), atomic_folder(tmp_path / "out", overwrite=True) as folder:
        files(folder, "prepare.json")
    assert (tmp_path / "out").read_text() == "mine"


def test_the_same_kind_is_replaced(tmp_path):
    files(tmp_path / "out", "prepare.json", "train.bin")
    with atomic_folder(tmp_path / "out", overwrite=True) as folder:
        files(folder, "prepare.json")
    assert [place.name for place in (tmp_path / "out").iterdir()] == ["prepare.json"]
