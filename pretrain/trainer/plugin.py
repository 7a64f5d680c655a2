"""What `fairseq-train --user-dir pretrain` registers. Importing this module imports fairseq."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from types import TracebackType

from pretrain.base.checkpoints import prepare_fairseq
from pretrain.base.disk import one_line
from pretrain.base.errors import UserError
from pretrain.base.leash import follow

follow()
prepare_fairseq()

from pretrain.trainer import (  # noqa: E402
    electra,  # noqa: F401
    electra_loss,  # noqa: F401
    masked_lm_loss,  # noqa: F401
    optimizer,  # noqa: F401
    roberta,  # noqa: F401
    task,  # noqa: F401
)
from pretrain.trainer.end import stop_at_the_end  # noqa: E402

stop_at_the_end()


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A user's mistake, or a disk's refusal, is one line and exit code 2, under fairseq-train as under relexify."""
    line = str(error) if isinstance(error, UserError) else one_line(error, _save_dir())
    if line is not None:
        print(f"relexify: error: {line}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(UserError.exit_code)
    traceback.print_exception(kind, error, trace)


def _save_dir() -> str:
    """What is being written where an error does not say it: the folder of the checkpoints."""
    words = sys.argv
    return words[words.index("--save-dir") + 1] if "--save-dir" in words[:-1] else ""


def _handle_error(self: logging.Handler, record: logging.LogRecord) -> None:
    """A log that cannot be written ends the training: a curve is read from it, and must not have gaps."""
    error = sys.exc_info()[1]
    if error is not None and one_line(error) is not None:
        raise error
    _stock_handle_error(self, record)


_stock_handle_error = logging.Handler.handleError
logging.Handler.handleError = _handle_error  # type: ignore[method-assign]
sys.excepthook = _report
