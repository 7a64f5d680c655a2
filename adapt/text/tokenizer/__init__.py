"""A language's tokenizer: a SentencePiece model or a `tokenizer.json`, seen through the token ids of this project.

`Tokenizer` is the one class that everything else uses (docs/artefacts.md); the two kinds of file stand behind it.
"""

from adapt.text.tokenizer.kind import WORD_BOUNDARY as WORD_BOUNDARY
from adapt.text.tokenizer.tokenizer import JSON_NAME as JSON_NAME
from adapt.text.tokenizer.tokenizer import MODEL_NAME as MODEL_NAME
from adapt.text.tokenizer.tokenizer import Tokenizer as Tokenizer
from adapt.text.tokenizer.training import MODEL_TYPES as MODEL_TYPES
from adapt.text.tokenizer.training import train_tokenizer as train_tokenizer
