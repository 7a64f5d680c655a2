"""Task bodies become models of transformers: equal logits for every class, and its pipelines give our own labels and tags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapt.artefacts.embedding import Embedding
from adapt.formats.huggingface_export import export
from pretrain.artefacts.body import ELECTRA, ROBERTA, Body
from pretrain.base.errors import UserError
from pretrain.base.vocabulary import PAD
from pretrain.encoder import EncoderConfig
from recipes.cli import main
from tasks.classification.family import predict
from tasks.classification.task import Example
from tasks.encoding import Encoded, encode_examples, segments_of
from tasks.heads.export import head_of
from tasks.heads.model import TaskModel, task_model
from tasks.heads.span import best_pairs
from tasks.qa.family import answer
from tasks.qa.features import WindowSettings
from tasks.tagging.data import Sentence, Sentences
from tasks.tagging.family import tag
from tests.adapt.formats.huggingface_tools import transformers
from tests.tasks.conftest import pairs
from tests.tasks.qa.qa_tools import question, tokenizer
from tests.tasks.tagging.tagging_world import sentences

LABELS = {"classification": ("entailment", "neutral", "contradiction"), "linear": ("no", "yes"), "san": ("no", "yes"), "span": (),
          "joint_span": (),
          "tagging": ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")}
SUFFIX = {"classification": "ForSequenceClassification", "linear": "ForSequenceClassification", "span": "ForQuestionAnswering",
          "tagging": "ForTokenClassification"}
NAMES = {"classification": "xnli", "linear": "xnli", "san": "xnli", "span": "squad", "joint_span": "squad", "tagging": "panx"}


def task_body(kind: str, backbone: str = ROBERTA, labels: tuple[str, ...] | None = None, **changes: int) -> Body:
    """A task body with random weights, large enough for clear decisions."""
    shape = EncoderConfig(**{"layers": 2, "width": 16, "heads": 2, "ffn": 24, "embedding_width": 16, "max_positions": 160,
                             **changes})
    labels = LABELS[kind] if labels is None else labels
    torch.manual_seed(4)
    model = TaskModel(shape, 8)
    model.add_head(NAMES[kind], kind, len(labels))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.copy_(torch.randn_like(parameter) * (0.3 if name.startswith("encoder.layers") else 0.8))
        if model.encoder.relative_bias is not None:
            model.encoder.relative_bias.weight.mul_(0.3)
    body = Body.of_model(model, lineage="0" * 64, backbone=backbone, made={"seed": 4}, task={
        "name": NAMES[kind], "version": "1.0", "head": kind, "labels": list(labels), "metric": "accuracy",
        "dev": {"split": "dev", "language": "en", "score": 0.625, "n": 8}})
    if backbone == ELECTRA:
        body = Body(shape, {name: tensor for name, tensor in body.tensors.items() if not name.startswith("lm_head.")},
                    body.lineage, ELECTRA, body.made, body.task)
    return body


def embedding_for(body: Body, name: str = "en", language: str = "en") -> Embedding:
    rows = len(tokenizer(name))
    weight = torch.randn(rows, body.config.embedding_width, generator=torch.Generator().manual_seed(6))
    return Embedding(weight, torch.zeros(rows), tokenizer(name), language, body.lineage)


def opened(folder: Path, name: str) -> Any:
    auto = {"classification": transformers.AutoModelForSequenceClassification, "span": transformers.AutoModelForQuestionAnswering,
            "linear": transformers.AutoModelForSequenceClassification, "tagging": transformers.AutoModelForTokenClassification}
    model, info = auto[name].from_pretrained(folder, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    return model.eval()


CASES = [
    ("classification", ROBERTA, {}, "Roberta"), ("classification", ELECTRA, {}, "Roberta"),
    ("classification", ROBERTA, {"relative_buckets": 32}, "MPNet"), ("linear", ELECTRA, {}, "Electra"),
    ("linear", ELECTRA, {"embedding_width": 8}, "Electra"), ("linear", ROBERTA, {}, "Electra"),
    ("classification", ROBERTA, {"segments": 2}, "Roberta"),
    ("linear", ROBERTA, {"segments": 2}, "Electra"), ("tagging", ELECTRA, {"segments": 2, "embedding_width": 8}, "Electra"),
    ("span", ROBERTA, {}, "Roberta"), ("span", ELECTRA, {}, "Electra"), ("span", ELECTRA, {"relative_buckets": 32}, "MPNet"),
    ("tagging", ROBERTA, {}, "Roberta"), ("tagging", ELECTRA, {"embedding_width": 8}, "Electra"),
    ("tagging", ROBERTA, {"embedding_width": 8}, "Electra"), ("tagging", ROBERTA, {"relative_buckets": 32}, "MPNet")]


@pytest.mark.parametrize("kind, backbone, changes, family", CASES)
def test_logits_are_equal_in_every_class(kind: str, backbone: str, changes: dict[str, int], family: str, tmp_path: Path) -> None:
    body = task_body(kind, backbone, **changes)
    embedding = embedding_for(body)
    assert export(body, embedding, tmp_path / "out", head=head_of(body), tokenizer=False) == [family + SUFFIX[kind]]
    theirs = opened(tmp_path / "out", kind)
    assert type(theirs).__name__ == family + SUFFIX[kind]
    model = task_model(body, embedding)
    tokens = torch.randint(2, len(embedding.weight), (4, 150), generator=torch.Generator().manual_seed(2))
    tokens[:, 0] = 0
    for row, length in enumerate((150, 60, 9, 2)):
        tokens[row, length:] = PAD
    real = tokens != PAD
    with torch.no_grad():
        types = segments_of(tokens, body.config)
        found = theirs(tokens, attention_mask=real.long(), **({} if types is None else {"token_type_ids": types}))
        if kind == "span":
            states = model.encoder(tokens)
            expected = model.heads["squad"].out_proj(states)[real]
            got = torch.stack([found.start_logits, found.end_logits], -1)[real]
        else:
            expected = model(tokens, task=NAMES[kind])
            got = found.logits
            if kind == "tagging":
                expected, got = expected[real], got[real]
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=3e-5)
    if LABELS[kind]:
        assert [theirs.config.id2label[index] for index in range(theirs.config.num_labels)] == list(LABELS[kind])
        assert theirs.config.label2id == {label: index for index, label in enumerate(LABELS[kind])}


def test_tensors_that_an_embedding_brings_take_the_bodys_place(tmp_path: Path) -> None:
    body = task_body("tagging")
    embedding = embedding_for(body)
    name = "encoder.embed_norm.bias"
    embedding.extras = {name: body.tensors[name] + 1}
    export(body, embedding, tmp_path / "out", head=head_of(body), tokenizer=False)
    found = opened(tmp_path / "out", "tagging").roberta.embeddings.LayerNorm.bias
    assert torch.equal(found.detach(), embedding.extras[name])
    embedding.extras = {"encoder.other": torch.zeros(1)}
    with pytest.raises(UserError, match=r"'encoder\.other'.*does not have"):
        export(body, embedding, tmp_path / "bad", head=head_of(body))
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("kind, backbone, changes, labels, said", [
    ("joint_span", ROBERTA, {}, None, "'joint_span' head.*given its start.*--head span"),
    ("san", ROBERTA, {}, None, "'san' head.*several steps.*--head classification or linear"),
    ("classification", ELECTRA, {"embedding_width": 8}, None, "Electra has another classification head.*tanh.*8 and 16"),
    ("linear", ROBERTA, {"relative_buckets": 32}, None, "MPNet has another classification head than this body's .one layer"),
    ("classification", ROBERTA, {"segments": 2, "relative_buckets": 32}, None, "MPNet has one segment, this body tells two"),
    ("linear", ELECTRA, {}, tuple(map(str, range(9))), "9 labels on a body of width 16.*needs a width of 18"),
    ("tagging", ROBERTA, {"relative_buckets": 32, "relative_distance": 64}, None, "this body has 32 buckets up to distance 64"),
])
def test_what_no_class_computes_is_refused_in_one_line(kind: str, backbone: str, changes: dict[str, int],
                                                       labels: tuple[str, ...] | None, said: str, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    body = task_body(kind, backbone, labels, **changes)
    body.save(tmp_path / "body")
    embedding_for(body).save(tmp_path / "embedding")
    assert main(["export", "--body", str(tmp_path / "body"), "--to", "huggingface", "--output", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    with pytest.raises(UserError, match=said):
        export(body, embedding_for(body), tmp_path / "out", head=head_of(body))
    assert not (tmp_path / "out").exists()


def balanced(body: Body, embedding: Embedding, encoded: Encoded) -> Body:
    """The body with a bias under which a random head gives several of its labels."""
    model = task_model(body, embedding)
    with torch.no_grad():
        logits = torch.cat([model(torch.from_numpy(ids).long()[None], task="xnli") for ids in encoded.tokens])
    name = "heads.xnli.out_proj.bias"
    return replace(body, tensors={**body.tensors, name: body.tensors[name] - logits.mean(0)})


def test_the_command_writes_a_model_that_classifies_as_our_evaluation(tmp_path: Path) -> None:
    from tests.tasks.conftest import make_embedding

    for kind, backbone, changes in (("classification", ROBERTA, {}), ("linear", ELECTRA, {"segments": 2}),
                                    ("classification", ROBERTA, {"relative_buckets": 32})):
        folder = tmp_path / f"{kind}-{backbone}-{len(changes)}"
        embedding = make_embedding("qab", "0" * 64, 1, width=16)
        items = pairs("qab", 60, 11)
        encoded = encode_examples(embedding.tokenizer, [Example(str(n), a, b, 0) for n, (a, b, _) in enumerate(items)], 160,
                                  2 - ("segments" in changes))
        body = balanced(task_body(kind, backbone, **changes), embedding, encoded)
        body.save(folder / "body")
        embedding.save(folder / "embedding")
        assert main(["export", "--body", str(folder / "body"), "--to", "huggingface", "--output", str(folder / "out")]) == 0
        ours = [LABELS[kind][index] for index in predict(task_model(body, embedding), encoded, "xnli")]
        pipe = transformers.pipeline("text-classification", str(folder / "out"), device="cpu")
        theirs = [found["label"] for found in pipe([{"text": a, "text_pair": b} for a, b, _ in items])]
        assert theirs == ours and len({*ours}) > 1


def piped_tags(pipe: Any, words: tuple[str, ...]) -> list[str]:
    """The tag that the pipeline gives the first piece with letters of each word."""
    starts, at = {}, 0
    for number, word in enumerate(words):
        starts.update(dict.fromkeys(range(at, at + len(word)), number))
        at += len(word) + 1
    tags: dict[int, str] = {}
    for found in pipe([list(words)], is_split_into_words=True, delimiter=" ")[0]:
        if found["end"] > found["start"] and found["word"] != "\u2581":
            tags.setdefault(starts[found["start"]], found["entity"])
    return [tags[number] for number in range(len(words))]


@pytest.mark.parametrize("backbone, changes", [
    (ROBERTA, {}), (ELECTRA, {"embedding_width": 8}), (ROBERTA, {"relative_buckets": 32})])
def test_pipeline_tags_as_our_evaluation(backbone: str, changes: dict[str, int], tmp_path: Path) -> None:
    from tests.tasks.conftest import make_embedding

    body = task_body("tagging", backbone, **changes)
    embedding = make_embedding("qab", body.lineage, 1, width=body.config.embedding_width)
    export(body, embedding, tmp_path / "out", head=head_of(body))
    items = Sentences([Sentence(tuple(word for word, _ in row), (0,) * len(row)) for row in sentences("qab", 40, 5)])
    ours, _ = tag(task_model(body, embedding), "panx", embedding, items, LABELS["tagging"], 160)
    pipe = transformers.pipeline("token-classification", str(tmp_path / "out"), ignore_labels=[], device="cpu")
    assert [piped_tags(pipe, item.words) for item in items] == ours
    assert len({label for row in ours for label in row}) > 2


def their_answer(tokenizer_: Any, model: Any, asked: str, context: str) -> str:
    """The best span of at most 30 context tokens by start and end logits, as a slice of the context."""
    found = tokenizer_(asked, context, return_offsets_mapping=True, return_tensors="pt")
    places = found.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        logits = model(**found)
    inside = torch.tensor([kind == 1 for kind in found.sequence_ids(0)])
    start, end = (side.masked_fill(~inside, -torch.inf) for side in (logits.start_logits, logits.end_logits))
    _, first, last = best_pairs(start, end, 30, 20)
    texts = (context[places[a][0]:places[b][1]].strip() for a, b in zip(first[0].tolist(), last[0].tolist(), strict=True))
    return next(text for text in texts if text)


@pytest.mark.parametrize("name, backbone, changes", [
    ("en", ROBERTA, {}), ("ru", ELECTRA, {"embedding_width": 8}), ("mixed", ROBERTA, {"relative_buckets": 32})])
def test_spans_are_those_of_our_evaluation(name: str, backbone: str, changes: dict[str, int], tmp_path: Path) -> None:
    from tests.tasks.qa.qa_tools import TEXTS

    body = task_body("span", backbone, **changes)
    embedding = embedding_for(body, name)
    export(body, embedding, tmp_path / "out", head=head_of(body))
    items = [question(context, asked=asked, name=f"{number}-{other}") for number, context in enumerate(TEXTS[name])
             for other, asked in enumerate(TEXTS[name])]
    ours, _ = answer(task_model(body, embedding), "squad", embedding.tokenizer, items, WindowSettings.fit(160))
    model, auto = opened(tmp_path / "out", "span"), transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    theirs = {item.id: their_answer(auto, model, item.question, item.context) for item in items}
    assert theirs == {key: prediction.best for key, prediction in ours.items()}
    assert len({*theirs.values()}) > 2


def test_the_card_of_a_task_model_names_data_and_score(tmp_path: Path) -> None:
    import yaml

    body = task_body("classification")
    export(body, embedding_for(body), tmp_path / "out", head=head_of(body), tokenizer=False)
    head = yaml.safe_load((tmp_path / "out" / "README.md").read_text().split("---\n")[1])
    assert (head["datasets"], head["metrics"], head["pipeline_tag"]) == (["xnli"], ["accuracy"], "text-classification")
    (result,) = head["model-index"][0]["results"]
    np.testing.assert_allclose(result["metrics"][0]["value"], 0.625)
    assert "license" not in head and "base_model" not in head  # nobody said them
