"""What the tests of question answering share: tiny tokenizers, questions and models."""

from __future__ import annotations

from functools import cache

import torch

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from pretrain.artefacts.body import Body
from pretrain.encoder import EncoderConfig
from tasks.heads.model import TaskModel
from tasks.qa.data import Answer, Question

CONFIG = EncoderConfig(layers=2, width=16, heads=2, ffn=32, embedding_width=16, max_positions=64)
TEXTS = {
    "en": ("the red river runs to the sea", "Mara built a mill near the old bridge in 1821", "who sold seven grey horses?"),
    "ru": ("красная река течёт к морю", "Мара построила мельницу у старого моста", "кто продал семь лошадей?"),
    "mixed": ("น้ำไหลลงสู่ทะเลที่เมืองเก่า", "红色的河流入大海，马拉在老桥边建了磨坊。", "النَّهْرُ الأَحْمَرُ يَجْرِي إِلَى البَحْرِ",
              "the red river 1821"),
}


@cache
def tokenizer(name: str = "en") -> Tokenizer:
    """A tokenizer of few pieces, so that words have several tokens."""
    return Tokenizer(train_tokenizer(TEXTS[name] * 4, 90, character_coverage=1.0), name)


def question(context: str, answer: str | None = None, start: int | None = None, asked: str = "who sold it?",
             name: str = "q") -> Question:
    """A question; without an answer it is impossible, without `start` the answer is at its first occurrence."""
    if answer is None:
        return Question(name, asked, context, (), impossible=True)
    return Question(name, asked, context, (Answer(answer, context.find(answer) if start is None else start),))


def body_for(head: str, name: str = "squad", seed: int = 0) -> Body:
    """A task body whose head was drawn with clearly different scores from token to token."""
    torch.manual_seed(seed)
    model = TaskModel(CONFIG, 8)
    model.add_head(name, head, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8 if parameter.ndim > 1 else 1)
    task = {"name": name, "head": head, "labels": [], "windows": {}, "answer_tokens": 3}
    return Body.of_model(model, lineage="0" * 64, task=task)


def embedding_for(body: Body, name: str = "en", seed: int = 0) -> Embedding:
    """An embedding of the tokenizer `name` that fits `body`."""
    rows = len(tokenizer(name))
    generator = torch.Generator().manual_seed(seed)
    return Embedding(torch.randn(rows, CONFIG.embedding_width, generator=generator), torch.zeros(rows), tokenizer(name), name,
                     body.lineage)
