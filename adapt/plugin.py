"""What `fairseq-train --user-dir adapt` registers. Importing this module imports fairseq."""

from adapt import frozen_pair, task  # noqa: F401
from pretrain import plugin  # noqa: F401
