"""What `fairseq-train --user-dir adapt` registers. Importing this module imports fairseq."""

from adapt.trainer import frozen_pair, task  # noqa: F401
from pretrain.trainer import plugin  # noqa: F401
