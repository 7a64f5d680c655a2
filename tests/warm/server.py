"""`python server.py SOCKET MODULE …`: imports the modules once, then forks a process for every command that it is sent.

Importing torch and fairseq takes six seconds of a core, and the tests start some hundred trainings of a second each. A forked
process has its own memory, files, environment and signals, as one that was started has. It is killed when the process that
asked for it is gone, and all go with this one.
"""

import atexit
import contextlib
import ctypes
import importlib
import json
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
import warnings
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
LIBRARY = ctypes.CDLL(None)


def become(asked: dict[str, Any], files: list[int]) -> None:
    """Runs the command in this process, which has just been forked; does not return."""
    LIBRARY.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    code: Any = 1
    try:
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        for name, pair in asked["limits"].items():
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(getattr(resource, name), tuple(pair))
        listed = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        sys.path[:] = [os.getcwd(), *listed, *(entry for entry in BASE if entry not in listed)]
        sys.argv = ["-m", *asked["words"]]
        sys.orig_argv = [sys.executable, "-m", asked["module"], *asked["words"]]
        for action in filter(None, os.environ.get("PYTHONWARNINGS", "").split(",")):
            warnings.simplefilter(action)  # type: ignore[arg-type]
        tempfile.tempdir = None
        random.seed()
        importlib.invalidate_caches()
        sys.modules.pop(asked["module"], None)
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
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
    """A command and the three files that it has for input, output and errors."""
    head, files, _, _ = socket.recv_fds(connection, 8, 3)
    size, data = int.from_bytes(head, "little"), b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("cut off")
        data += part
    return json.loads(data), files


def serve(place: str) -> None:
    """Until the process that started this one is gone."""
    parent = os.getppid()
    readable, writable = os.pipe()
    for end in (readable, writable):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(writable)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place + ".new")
    listener.listen(64)
    os.rename(place + ".new", place)
    running: dict[socket.socket, int] = {}
    while os.getppid() == parent:
        ready, _, _ = select.select([listener, readable, *running], [], [], 1.0)
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
                    become(asked, files)
                for file in files:
                    os.close(file)
                running[connection] = pid
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


if __name__ == "__main__":
    LIBRARY.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    BASE = [entry for entry in sys.path[1:] if entry not in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    for name in sys.argv[2:]:
        importlib.import_module(name)
    threads = sorted((task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir())
    assert [name for name in threads if name != "jemalloc_bg_thd"] == ["python"], threads  # jemalloc minds forks itself
    serve(sys.argv[1])
