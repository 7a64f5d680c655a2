"""What `fairseq-train --user-dir pretrain` registers. Importing this module imports fairseq."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

from pretrain.base.checkpoints import prepare_fairseq
from pretrain.base.errors import UserError

prepare_fairseq()

from pretrain.trainer import (  # noqa: E402
    electra,  # noqa: F401
    electra_loss,  # noqa: F401
    masked_lm_loss,  # noqa: F401
    optimizer,  # noqa: F401
    roberta,  # noqa: F401
    task,  # noqa: F401
)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A user's mistake is one line and exit code 2, under fairseq-train as under relexify."""
    if isinstance(error, UserError):
        print(f"relexify: error: {error}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(error.exit_code)
    traceback.print_exception(kind, error, trace)


sys.excepthook = _report
