"""What `fairseq-train --user-dir tasks` registers. Importing this module imports fairseq."""

from pretrain import plugin  # noqa: F401
from tasks import fairseq_qa, fairseq_tagging, fairseq_task  # noqa: F401
