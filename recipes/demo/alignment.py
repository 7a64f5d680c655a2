"""Did the new embeddings of the miniature world learn the words' meanings? There the translations are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapt.artefacts.embedding import Embedding
    from adapt.probe.alignment import Alignment
    from recipes.world import World


def aligned(world: World, base: Embedding, new: Embedding) -> Alignment:
    """The alignment of a new embedding with the base language's, by the world's own lexicons."""
    from adapt.probe.alignment import alignment

    old, words = (world.language(one.language).words for one in (base, new))
    return alignment(base, new, {words[concept]: [word] for concept, word in old.items() if concept in words})
