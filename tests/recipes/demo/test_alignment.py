import torch

from adapt.artefacts.embedding import Embedding
from adapt.text.tokenizer import Tokenizer, train_tokenizer
from recipes.demo.alignment import aligned
from recipes.world import World


def embedding(world: World, code: str) -> Embedding:
    tokenizer = Tokenizer(train_tokenizer(list(world.paragraphs(code, count=800)), 600, model_type="bpe"))
    rows = len(tokenizer.vocabulary)
    return Embedding(torch.zeros(rows, 64), torch.zeros(rows), tokenizer, code, "x")


def filled(new: Embedding, world: World, names: dict[str, str]) -> Embedding:
    """One random vector a concept; `names[concept]` is the concept whose vector it gets."""
    vectors = {c: torch.randn(64, generator=torch.Generator().manual_seed(n)) for n, c in enumerate(names)}
    for concept, word in world.language(new.language).words.items():
        row = new.tokenizer.vocabulary.ids.get("▁" + word)
        if row is not None and concept in names:
            new.weight[row] = vectors[names[concept]]
    return new


def test_translations_are_found_and_a_relabelling_is_told_apart():
    world = World(1, ("qaa", "qab"))
    concepts = list(world.language("qaa").words)
    same = dict(zip(concepts, concepts, strict=True))
    turned = dict(zip(concepts, concepts[1:] + concepts[:1], strict=True))
    base = filled(embedding(world, "qaa"), world, same)
    found = aligned(world, base, filled(embedding(world, "qab"), world, same))
    assert (found.share, found.median_rank) == (1.0, 1.0) and found.words > 100
    assert aligned(world, base, filled(embedding(world, "qab"), world, turned)).share < 0.1
