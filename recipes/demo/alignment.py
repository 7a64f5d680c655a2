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

    return alignment(base, new, {word: [other] for other, word in world.translations(new.language)})
