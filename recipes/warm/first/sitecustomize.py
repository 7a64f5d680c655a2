"""Python imports this first in a process that `recipes.warm` has prepared: a served command is forked from a warm one.

The servers are named in $RELEXIFY_WARM. Not served is what a fork could not follow: another user, a private mount, modules that
stand before ours, another locale. A program's text (`python -c`) is served where $RELEXIFY_WARM_CODE names the server. A
`sitecustomize` of the user's own, which this one hides, is run where nothing is served.
"""

import os
import sys
from collections.abc import Mapping

MODULES = {"fairseq_cli.train": "train", "recipes.cli": "plain", "torch.distributed.run": "plain"}
"""What is run by `python -m` -> the server that has imported what it needs."""
SCRIPTS = dict(entry.rpartition("=")[::2] for entry in os.environ.get("RELEXIFY_WARM_SCRIPTS", "").splitlines() if entry)
"""The same for scripts, by their paths."""
FILES = 64
"""Files that a command may have at most; so many are sent at once."""
LIMITS = ("RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_CPU")
FOLLOWED = {"PYTHONPATH", "PYTHONIOENCODING", "PYTHONSAFEPATH", "PYTHONUNBUFFERED"}
KINDS = ("PYTHON", "LC_", "LANG", "LD_", "OMP_", "MKL_", "ATEN_", "CUDA_")
CODE = os.environ.pop("RELEXIFY_WARM_CODE", "")


def settings(environment: Mapping[str, str]) -> str:
    """What Python and the libraries below torch read from the environment when they begin, and a fork does not read again."""
    return repr(sorted((name, value) for name, value in environment.items() if name not in FOLLOWED and name.startswith(KINDS)
                       and (name, value) != ("MKL_NUM_THREADS", "1")))  # as OMP_NUM_THREADS says already


def command() -> tuple[str, str, list[str], str]:
    """How this process was started (`-m`, `-c`, or empty for a script), with what, its words, and the name of its server."""
    words = list(sys.orig_argv[1:])
    while words and words[0] in ("-u", "-P"):
        words.pop(0)
    if not words:
        return "", "", [], ""
    if words[0] in ("-m", "-c") and len(words) > 1:
        return words[0], words[1], words[2:], MODULES.get(words[1], "") if words[0] == "-m" else CODE
    return "", words[0], words[1:], SCRIPTS.get(os.path.abspath(words[0]), "")


def server() -> str | None:
    """The socket of the server that can run this command, or None."""
    place, name = os.environ.get("RELEXIFY_WARM"), command()[3]
    socket = f"{place}/{name}.sock"
    if not place or not name or not os.path.exists(socket) or settings(os.environ) != os.environ.get("RELEXIFY_WARM_SETTINGS"):
        return None
    known = {place, *os.environ["RELEXIFY_WARM_PATH"].split(os.pathsep)}
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry not in known]
    same = os.stat(socket).st_uid == os.geteuid() and os.readlink("/proc/self/ns/mnt") == os.environ["RELEXIFY_WARM_MOUNTS"]
    return socket if same and not others else None


def inherited() -> list[int]:
    """Open files of this process that it was given: input, output, errors and what else its parent passed on, as locks."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) < 3 or os.get_inheritable(int(name)):
                os.fstat(int(name))
                found.append(int(name))
        except OSError:  # the folder that is being listed
            continue
    return sorted(found)


def ask(place: str) -> None:
    """Has the server run this command with our files, folder, environment and limits, and ends as it ends. Returns where the
    server cannot: then this process does it itself."""
    import json
    import resource
    import signal
    import socket
    from contextlib import suppress

    kind, what, words, _ = command()
    files = inherited()
    try:
        folder = os.getcwd()
    except OSError:  # it has been removed
        return
    if len(files) > FILES:
        return
    limits = {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS}
    passing = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCONT)
    ignored = [int(one) for one in passing if signal.getsignal(one) is signal.SIG_IGN]
    unbuffered = "-u" in sys.orig_argv[1:2] or bool(os.environ.get("PYTHONUNBUFFERED"))
    asked = json.dumps({"kind": kind, "what": what, "words": words, "folder": folder, "limits": limits, "files": files,
                        "ignored": ignored, "safe": bool(sys.flags.safe_path), "unbuffered": unbuffered,
                        "environment": dict(os.environ)}).encode()
    connection = socket.socket(socket.AF_UNIX)
    signal.pthread_sigmask(signal.SIG_BLOCK, passing)  # they wait until they can be passed on
    try:
        connection.connect(place)
        socket.send_fds(connection, [len(asked).to_bytes(8, "little")], files)
        connection.sendall(asked)
        begun = connection.recv(1) == b"+"
    except OSError:
        begun = False
    if not begun:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, passing)
        return

    # from here on the command has begun: whatever happens, this process must not run it too
    def passed(number: int, frame: object) -> None:
        with suppress(OSError):
            connection.send(bytes([signal.SIGSTOP if number == signal.SIGTSTP else number]))
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)

    for one in passing:
        if one not in ignored:
            signal.signal(one, passed)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passing)
    try:
        answer = connection.recv(4)
    except OSError:
        answer = b""
    if len(answer) < 4:
        print("the warm process that ran this command is gone", file=sys.stderr)
        os._exit(1)
    status = int.from_bytes(answer, "little")
    if os.WIFSIGNALED(status):
        if (number := os.WTERMSIG(status)) != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


def run_hidden() -> None:
    """Runs the `sitecustomize` that Python would have found without this one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.dirname(os.path.abspath(__file__))
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if os.path.abspath(entry) != here])
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


if __name__ == "sitecustomize":
    if (found := server()) is not None:
        ask(found)
    run_hidden()
