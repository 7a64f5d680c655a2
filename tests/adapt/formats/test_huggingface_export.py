"""Bodies of ours become models that transformers opens with the same logits, and come back bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from adapt.artefacts.embedding import Embedding
from adapt.formats.electra_names import from_electra, pairs, to_electra
from adapt.formats.huggingface_export import export
from adapt.formats.huggingface_import import import_electra
from adapt.formats.mpnet_names import from_mpnet, to_mpnet
from adapt.text.tokenizer import Tokenizer
from pretrain.artefacts.body import Body
from pretrain.artefacts.tensors import fingerprint
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.electra.networks import Discriminator, Generator
from pretrain.encoder import EncoderConfig
from pretrain.masked_lm import MaskedLM
from recipes.cli import main
from recipes.commands.exchange.export_huggingface import EXAMPLE
from tests.adapt.formats.huggingface_tools import (
    POSITIONS,
    SMALL,
    TEXT,
    Theirs,
    batch,
    opened,
    ours,
    randomised,
    same_logits,
    transformers,
)
from tests.killing import warm

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("tying, options", [
    ("embedding", {}), ("token", {"embedding_width": 16}), ("none", {}), ("gdes", {}), ("all", {"generator": 1}),
    ("embedding", {"hardness": "loss"})])
def test_transformers_opens_the_exported_pair(tying: str, options: dict[str, Any], sentencepiece: Tokenizer,
                                              tmp_path: Path) -> None:
    body, embedding, model = ours(sentencepiece, tying, **options)
    assert export(body, embedding, tmp_path / "out") == ["discriminator", "generator"]
    same_logits(model, *opened(tmp_path / "out"), torch.arange(len(embedding.weight)))


@pytest.mark.parametrize("tying, options", [("embedding", {}), ("token", {"embedding_width": 16}), ("none", {}),
                                            ("all", {"generator": 1})])
def test_there_and_back_keeps_fingerprints(tying: str, options: dict[str, Any], sentencepiece: Tokenizer,
                                           tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece, tying, **options)
    export(body, embedding, tmp_path / "theirs")
    import_electra(str(tmp_path / "theirs" / "discriminator"), str(tmp_path / "theirs" / "generator"), tmp_path / "again",
                   language="de")
    back, same = Body.load(tmp_path / "again" / "body"), Embedding.load(tmp_path / "again" / "embedding")
    assert (back.fingerprint, back.lineage, back.config) == (body.fingerprint, body.lineage, body.config)
    assert body.generator is not None and back.generator is not None
    assert (back.generator.tying, back.generator.config) == (tying, body.generator.config)
    assert fingerprint(back.generator.tensors) == fingerprint(body.generator.tensors)
    assert fingerprint(same.tensors) == fingerprint(embedding.tensors) and same.tokenizer.sha256 == sentencepiece.sha256


def test_export_without_tokenizer_has_none_there_and_our_numbering_here(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece)
    export(body, embedding, tmp_path / "theirs", tokenizer=False)
    with pytest.raises(ValueError, match="backend tokenizer"):  # and not some other vocabulary without a word
        transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs" / "discriminator")
    import_electra(str(tmp_path / "theirs" / "discriminator"), None, tmp_path / "again", language="de")
    assert torch.equal(Embedding.load(tmp_path / "again" / "embedding").weight, embedding.weight)


def test_there_and_back_of_theirs_is_bit_identical() -> None:
    config = transformers.ElectraConfig(**SMALL, vocab_size=30, max_position_embeddings=POSITIONS)
    for kind, model in (("discriminator", transformers.ElectraForPreTraining(config)),
                        ("generator", transformers.ElectraForMaskedLM(config))):
        state = {name: tensor for name, tensor in randomised(model).state_dict().items() if name != "generator_lm_head.weight"}
        state["electra.embeddings.token_type_embeddings.weight"].zero_()
        again = to_electra(kind, from_electra(kind, state))
        assert again.keys() == state.keys()
        assert all(torch.equal(again[name], state[name]) for name in state)


@pytest.mark.parametrize("kind, ours_", [("discriminator", Discriminator), ("generator", Generator)])
def test_the_table_names_every_tensor_of_ours_once(kind: str, ours_: Any) -> None:
    shape = EncoderConfig(layers=3, width=16, heads=2, ffn=24, embedding_width=8, max_positions=4)
    named = list(pairs(kind, 3, True))
    assert sorted(name for name, _ in named) == sorted(ours_(shape, 9).state_dict())
    theirs = [name for _, names in named for name in names]
    assert len(theirs) == len(set(theirs))


def test_auto_tokenizer_opens_the_exported_folder(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece)
    export(body, embedding, tmp_path / "out")
    for name in ("discriminator", "generator"):
        auto = transformers.AutoTokenizer.from_pretrained(tmp_path / "out" / name)
        for text in TEXT:
            assert auto(text).input_ids == [0, *sentencepiece.encode(text), 2]
        assert len(auto) == len(embedding.weight) and auto.model_max_length == POSITIONS


def test_discriminator_without_generator_is_exported_alone(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece)
    body.generator = None
    assert export(body, embedding, tmp_path / "out") == ["discriminator"]


def test_extras_of_an_embedding_take_the_bodys_place(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece)
    name = "encoder.embed_norm.bias"
    embedding.extras[name] = body.tensors[name] + 1
    export(body, embedding, tmp_path / "out")
    discriminator, _ = opened(tmp_path / "out")
    torch.testing.assert_close(discriminator.electra.embeddings.LayerNorm.bias.detach(), embedding.extras[name])


@pytest.mark.parametrize("changes, kind", [
    ({}, "RobertaForMaskedLM"), ({"embedding_width": 8}, "ElectraForMaskedLM"), ({"relative_buckets": 32}, "MPNetForMaskedLM")])
def test_masked_language_models_go_out_as_what_computes_the_same(changes: dict[str, int], kind: str, sentencepiece: Tokenizer,
                                                                 tmp_path: Path) -> None:
    shape = EncoderConfig(**{"layers": 2, "width": 16, "heads": 2, "ffn": 24, "embedding_width": 16,
                             "max_positions": 300, **changes})
    model = randomised(MaskedLM(shape, len(sentencepiece.vocabulary)))
    body = Body.of_model(model)
    assert export(body, Embedding.of_model(model, sentencepiece, "de", body.lineage), tmp_path / "out") == ["masked-lm"]
    theirs, info = getattr(transformers, kind).from_pretrained(tmp_path / "out" / "masked-lm", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    assert type(transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "out" / "masked-lm")).__name__ == kind
    long = torch.randint(2, len(sentencepiece.vocabulary), (2, 300), generator=torch.Generator().manual_seed(1))
    long[1, 200:] = PAD  # beyond the distance from which on the last bucket is shared
    for tokens in (batch(len(sentencepiece.vocabulary), 3), long):
        with torch.no_grad():
            expected = theirs.eval()(tokens, attention_mask=tokens.ne(PAD).long()).logits
            torch.testing.assert_close(model(tokens)[tokens != PAD], expected[tokens != PAD], rtol=1e-4, atol=3e-5)


def test_mpnet_names_there_and_back_are_bit_identical() -> None:
    shape = EncoderConfig(layers=2, width=16, heads=2, ffn=24, embedding_width=16, max_positions=8, relative_buckets=32)
    state = randomised(MaskedLM(shape, 9)).state_dict()
    theirs = to_mpnet(state)
    again = from_mpnet(theirs)
    assert again.keys() == state.keys() and all(torch.equal(again[name], state[name]) for name in state)
    config = transformers.MPNetConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
                                      vocab_size=9, max_position_embeddings=10)
    copies = {"lm_head.decoder.weight", "lm_head.decoder.bias"}
    assert theirs.keys() == transformers.MPNetForMaskedLM(config).state_dict().keys() - copies


def test_the_card_says_what_the_records_say(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece)
    body.made = {"recipe": "import", "discriminator": "hf:google/electra-small-discriminator@main", "license": "apache-2.0"}
    embedding.language = "zh-Hant"
    export(body, embedding, tmp_path / "out", license_name="mit")
    text = (tmp_path / "out" / "generator" / "README.md").read_text()
    _, head, page = text.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "library_name": "transformers", "language": ["zh"], "language_bcp47": ["zh-Hant"], "pipeline_tag": "fill-mask",
        "tags": ["relexify"], "base_model": ["google/electra-small-discriminator"], "license": "mit"}
    assert body.fingerprint in page and "ElectraForMaskedLM" in page


def test_what_has_no_counterpart_is_refused(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    body, embedding, _ = ours(sentencepiece)
    task = Body(body.config, body.tensors, body.lineage, body.backbone, task={"name": "xnli"})
    with pytest.raises(UserError, match=r"this is a task body \(xnli\)"):
        export(task, embedding, tmp_path / "out")
    shape = EncoderConfig(layers=1, width=16, heads=2, ffn=24, embedding_width=16, max_positions=8, relative_buckets=8)
    model = MaskedLM(shape, len(sentencepiece.vocabulary))
    relative = Body.of_model(model)
    with pytest.raises(UserError, match=r"no relative positions, this body has 8 buckets.*MPNet has relative positions in 32"):
        export(relative, Embedding.of_model(model, sentencepiece, "de", relative.lineage), tmp_path / "out")
    pair = Body(shape, {}, backbone="electra")
    with pytest.raises(UserError, match=r"replaced-token head.*no relative positions, this body has 8 buckets"):
        export(pair, embedding, tmp_path / "out")
    other, _, _ = ours(sentencepiece, "none")
    other.lineage = "0" * 64
    with pytest.raises(UserError, match="lineage"):
        export(other, embedding, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_commands_there_and_back(sentencepiece: Tokenizer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body, embedding, _ = ours(sentencepiece, hardness="dist")
    body.save(tmp_path / "run" / "body")
    embedding.save(tmp_path / "run" / "embedding")
    (tmp_path / "check.txt").write_text("\n".join(TEXT))
    call = ["export-huggingface", "--body", str(tmp_path / "run"), "--check-text", str(tmp_path / "check.txt"), "--output",
            str(tmp_path / "theirs")]
    assert main(call) == 0
    assert "hardness head" in capsys.readouterr().out
    assert main(call) == 2
    assert "already exists" in capsys.readouterr().err
    assert main([*call, "--overwrite", "--no-tokenizer"]) == 0
    assert not (tmp_path / "theirs" / "discriminator" / "tokenizer.json").exists()
    assert main(["import-huggingface", "--discriminator", str(tmp_path / "theirs" / "discriminator"), "--body-only",
                 "--output", str(tmp_path / "back")]) == 0
    assert "no generator" in capsys.readouterr().out
    assert Body.load(tmp_path / "back" / "body").fingerprint == body.fingerprint


def test_importing_and_exporting_need_neither_fairseq_nor_transformers(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    Theirs(tmp_path, sentencepiece, "small")
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, *rest):
        assert name.split(".")[0] not in ("fairseq", "transformers"), name
sys.meta_path.insert(0, Blocker())
from recipes.cli import main
from recipes.commands.exchange.export_huggingface import EXAMPLE
folder = {str(tmp_path)!r}
assert main(["import-huggingface", "--discriminator", folder + "/discriminator", "--generator", folder + "/generator",
             "--language", "de", "--output", folder + "/ours"]) == 0
assert main(["export-huggingface", "--body", folder + "/ours", "--output", folder + "/theirs"]) == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=300, env=warm())
    assert (tmp_path / "theirs" / "generator" / "model.safetensors").exists()


def test_the_example_of_its_help_runs_as_a_user_runs_it(sentencepiece: Tokenizer, tmp_path: Path) -> None:
    """In fresh processes, with nothing of ours around transformers: it has to import in the environment that is installed."""
    body, embedding, _ = ours(sentencepiece)
    body.save(tmp_path / "runs" / "electra-small" / "body")
    embedding.save(tmp_path / "runs" / "electra-small" / "embedding")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "relexify").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m recipes.cli "$@"\n')
    (tmp_path / "bin" / "relexify").chmod(0o755)
    title, *lines = EXAMPLE.splitlines()
    assert title == "example:" and len(lines) == 2
    environment = warm(server="", PATH=f"{Path(sys.executable).parent}:{tmp_path / 'bin'}:{os.environ['PATH']}")
    for line in lines:
        done = subprocess.run(["sh", "-c", line.strip()], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (f"{line.strip()}\n{done.stderr[-2000:]}\nwhere torchaudio does not import: `make install` "
                                      "takes it out")
    assert {path.name for path in (tmp_path / "exported").iterdir()} == {"discriminator", "generator"}


def test_a_torchaudio_that_does_not_import_is_named(sentencepiece: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    body, embedding, _ = ours(sentencepiece)
    body.save(tmp_path / "body")
    embedding.save(tmp_path / "embedding")
    for hidden in (True, False):
        monkeypatch.setattr("pretrain.base.checkpoints.guard_torchaudio", lambda hidden=hidden: hidden)
        assert main(["export-huggingface", "--body", str(tmp_path), "--output", str(tmp_path / f"out-{hidden}")]) == 0
        assert ("pip uninstall torchaudio" in capsys.readouterr().out) is hidden
