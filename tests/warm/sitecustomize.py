"""Python imports this first in every process that the tests start: a served command is forked from a warm one (server.py).

Only `make test` and its like (pytest -n …) start the servers and name them in $RELEXIFY_WARM; a test of kills takes the name
away. Not served is what a fork could not follow: another user, a private mount, modules that stand before ours.
"""

import os
import sys

PLAIN = {"pretrain", "split", "adapt", "finetune", "assemble", "evaluate", "detect", "fill", "analyse-sampling"}
"""Verbs of relexify that compute, and start nothing but a training."""
LIMITS = ("RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_CPU")


def server() -> str | None:
    """The socket of the server that can run this command, or None."""
    place, words = os.environ.get("RELEXIFY_WARM"), sys.orig_argv
    if not place or words[1:2] != ["-m"] or len(words) < 4:
        return None
    name = "train" if words[2] == "fairseq_cli.train" else "plain" if words[2] == "recipes.cli" and words[3] in PLAIN else ""
    socket = f"{place}/{name}.sock"
    if not name or not os.path.exists(socket) or os.environ.get("OMP_NUM_THREADS") != "1" or "PYTHONHASHSEED" in os.environ:
        return None
    known = {place, *os.environ["RELEXIFY_WARM_PATH"].split(os.pathsep)}
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry not in known]
    same = os.stat(socket).st_uid == os.geteuid() and os.readlink("/proc/self/ns/mnt") == os.environ["RELEXIFY_WARM_MOUNTS"]
    return socket if same and not others else None


def ask(place: str) -> None:
    """Has the server run this command with our files, folder, environment and limits, and ends as it ends."""
    import json
    import resource
    import signal
    import socket

    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(place)
    except OSError:
        return
    limits = {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS}
    asked = json.dumps({"module": sys.orig_argv[2], "words": sys.orig_argv[3:], "folder": os.getcwd(), "limits": limits,
                        "environment": dict(os.environ)}).encode()
    socket.send_fds(connection, [len(asked).to_bytes(8, "little")], [0, 1, 2])
    connection.sendall(asked)

    def passed(number: int, frame: object) -> None:
        connection.send(bytes([number]))

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, passed)
    status = int.from_bytes(connection.recv(4) or b"\x01\xff", "little")
    if os.WIFSIGNALED(status):
        if (number := os.WTERMSIG(status)) != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


if (found := server()) is not None:
    ask(found)
