"""What `fairseq-train --user-dir tasks` registers. Importing this module imports fairseq."""

from pretrain.trainer import plugin  # noqa: F401
from tasks.trainer import choice, classification, languages, mixture, qa, regression, tagging, task  # noqa: F401
