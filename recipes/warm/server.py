"""`python server.py SOCKET PARENT MODULE …`: imports the modules when it is sent the first command, then forks one process each.

See `recipes.warm`. A forked process has its own memory, files (also those that it inherits, as locks), environment and signals,
as one that was started has. It is killed when the process that asked for it is gone, and all go with this one.
"""

import array
import atexit
import contextlib
import ctypes
import importlib
import io
import json
import logging
import os
import random
import resource
import runpy
import select
import signal
import socket
import sys
import tempfile
import threading
import types
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
LIBRARY = ctypes.CDLL(None)
FILES = 64
"""Files that a command may have at most, as `first/sitecustomize.py` says too."""


def hold(files: list[int], places: list[int]) -> None:
    """Gives the files the numbers that they have in the process that asked."""
    above = max(places) + 1
    raised = [fcntl_above(file, above) for file in files]
    for file, place in zip(raised, places, strict=True):
        os.dup2(file, place)
        os.close(file)


def fcntl_above(file: int, least: int) -> int:
    """The same file under a number that is at least `least`."""
    import fcntl

    found = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, least)
    os.close(file)
    return found


def streams(unbuffered: bool) -> None:
    """Opens input, output and errors as Python does when it begins: what they were in this process was another kind of file."""
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    for place, name in enumerate(("stdin", "stdout", "stderr")):
        old, written = getattr(sys, name), name != "stdin"
        raw: Any = io.FileIO(place, "wb" if written else "rb", closefd=False)
        if not (written and unbuffered):
            raw = io.BufferedWriter(raw) if written else io.BufferedReader(raw)
        mistakes = old.errors if name == "stderr" else errors or ("strict" if encoding else old.errors)
        new = io.TextIOWrapper(raw, encoding or old.encoding, mistakes, line_buffering=name == "stderr" or raw.isatty(),
                               write_through=unbuffered)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
        for handler in logging.root.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is old:
                handler.setStream(new)


def execute(asked: dict[str, Any]) -> None:
    """Runs the command as Python would: a module, a program's text or a script."""
    kind, what, words = asked["kind"], asked["what"], asked["words"]
    first = {"-m": os.getcwd(), "-c": "", "": os.path.dirname(os.path.abspath(what))}[kind]
    listed = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:] = [*([] if asked["safe"] else [first]), *listed, *(entry for entry in BASE if entry not in listed)]
    sys.argv = [what if kind == "" else kind, *words]
    sys.orig_argv = [sys.executable, *filter(None, [kind]), what, *words]
    if kind == "-m":
        sys.modules.pop(what, None)
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)
    else:
        runpy.run_path(what, run_name="__main__")


def become(asked: dict[str, Any], files: list[int], server: int) -> None:
    """Runs the command in this process, which has just been forked; does not return."""
    LIBRARY.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != server:  # it went before the tie was made
        os._exit(1)
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCONT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in asked["ignored"]:  # as by nohup, or by a shell in the background
        signal.signal(number, signal.SIG_IGN)
    code: Any = 1
    try:
        hold(files, asked["files"])
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        for name, pair in asked["limits"].items():
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(getattr(resource, name), tuple(pair))
        streams(asked["unbuffered"])
        tempfile.tempdir = None
        random.seed()
        importlib.invalidate_caches()
        execute(asked)
        code = 0
    except SystemExit as stop:
        code = stop.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(int(code or 0) & 255)


def read(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A command and the files that it has."""
    head, files, _, _ = socket.recv_fds(connection, 8, FILES)
    size, data = int.from_bytes(head, "little"), b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("cut off")
        data += part
    return json.loads(data), list(array.array("i", files))


def serve(place: str, parent: int, modules: list[str]) -> None:
    """Until the process that started this one, `parent`, is gone."""
    readable, writable = os.pipe()
    for end in (readable, writable):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(writable)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place + ".new")
    listener.listen(64)
    os.rename(place + ".new", place)
    while not select.select([listener], [], [], 1.0)[0]:
        if os.getppid() != parent:
            return
    for name in modules:
        if name.endswith(".py"):
            runpy.run_path(name)
        else:
            importlib.import_module(name)
    threads = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    # a fork has none of them: jemalloc's minds that itself, the driver's is begun anew with the context
    assert all(name.startswith(("jemalloc", "cuda")) for name in threads), threads
    server = os.getpid()
    running: dict[socket.socket, int] = {}
    while os.getppid() == parent:
        watched: list[Any] = [listener, readable, *running]
        ready, _, _ = select.select(watched, [], [], 1.0)
        for one in ready:
            if one is listener:
                connection, _ = listener.accept()
                try:
                    asked, files = read(connection)
                except (ConnectionError, ValueError):
                    connection.close()
                    continue
                pid = os.fork()
                if pid == 0:
                    for other in (listener, connection, *running):
                        other.close()
                    os.close(readable)
                    os.close(writable)
                    become(asked, files, server)
                for file in files:
                    os.close(file)
                running[connection] = pid
                with contextlib.suppress(OSError):
                    connection.sendall(b"+")
            elif one is readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(readable, 4096)
            elif one in running:
                try:
                    numbers = list(one.recv(64)) or [signal.SIGKILL]
                except ConnectionError:
                    numbers = [signal.SIGKILL]
                for number in numbers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(running[one], number)
        for connection, pid in list(running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with contextlib.suppress(OSError):
                    connection.sendall(status.to_bytes(4, "little"))
                connection.close()
                del running[connection]


def leave(place: str) -> None:
    """Takes the socket away, and its folder with the last one: the process that would have is gone."""
    with contextlib.suppress(OSError):
        os.unlink(place)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(place))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    LIBRARY.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    BASE = [entry for entry in sys.path[1:] if entry not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    try:
        if os.getppid() == int(sys.argv[2]):  # else it went before the tie was made
            serve(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
    finally:
        leave(sys.argv[1])
