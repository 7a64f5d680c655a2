"""A process that ends with the one that started it, however that ended (docs/reliability.md).

`leashed(command)` is what to start instead of `command`. This file runs by itself, before anything of ours can be imported,
ties the process to its parent and becomes the command. On Linux the kernel keeps the tie; elsewhere, and for what the command
starts itself, `follow()` does, called by the training processes.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

PARENT = "RELEXIFY_PARENT"
"""Process that a training was started by; absent on the other machines of a run over several."""
_PR_SET_PDEATHSIG = 1


def leashed(command: Sequence[str], end: int = signal.SIGKILL) -> list[str]:
    """The words that start a command which gets the signal `end` when this process is gone."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(end)), *command]


def tie(end: int) -> bool:
    """Has the kernel send `end` to this process when its parent is gone; false where there is no such thing."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(end), 0, 0, 0) == 0)


def follow() -> None:
    """Ties this process to its parent where a relexify command has started it; ends it where that is gone already."""
    first = os.environ.get(PARENT)
    if not first:
        return
    parent = os.getppid()
    if not tie(signal.SIGKILL):
        def watch() -> None:
            while os.getppid() == parent:
                time.sleep(0.5)
            os._exit(137)
        threading.Thread(target=watch, daemon=True).start()
    try:
        os.kill(int(first), 0)
    except ProcessLookupError:
        os._exit(137)
    except PermissionError:
        pass


def main(argv: Sequence[str]) -> None:
    """`PARENT SIGNAL COMMAND …`"""
    parent, end, *command = argv
    tie(int(end))
    if os.getppid() != int(parent):  # it went before the tie was made
        sys.exit(137)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
