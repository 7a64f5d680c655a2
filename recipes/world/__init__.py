"""The miniature world: invented languages that share one world of meanings, for demos and tests that need no download.

A base language and five others, each with its own script and words, at a growing grammatical distance; unlimited text,
inference pairs and questions in each. Everything comes from logical forms and a seed.
"""

from recipes.world.languages import BASE, CODES, PLANS
from recipes.world.nli import LABELS, NliRecord
from recipes.world.qa import QaRecord
from recipes.world.realise import Sentence
from recipes.world.world import VERSION, World, write_world

__all__ = ["BASE", "CODES", "LABELS", "PLANS", "VERSION", "NliRecord", "QaRecord", "Sentence", "World", "write_world"]
