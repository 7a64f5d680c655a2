"""Kills a relexify command at a chosen moment; Python imports this by itself where PYTHONPATH leads here.

Every write, rename, new folder and removal below `CAMPAIGN_WATCH` is an event. One is chosen, by its number or by a pattern on
its line, and there the process, its group or its parent is killed, before the event takes place.
"""

import glob
import os
import re
import signal
import sys

WATCH = os.environ.get("CAMPAIGN_WATCH", "")


def install() -> None:
    at = int(os.environ.get("CAMPAIGN_AT") or 0)
    pattern = re.compile(os.environ["CAMPAIGN_PATTERN"]) if os.environ.get("CAMPAIGN_PATTERN") else None
    exists, who = os.environ.get("CAMPAIGN_EXISTS", ""), os.environ.get("CAMPAIGN_WHO", "group")
    after = int(os.environ.get("CAMPAIGN_AFTER") or 0)
    control = os.environ["CAMPAIGN_CONTROL"]  # outside what is watched
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    trace, count = (os.open(os.path.join(control, name), flags, 0o644) for name in ("trace", "count"))
    waiting: int | None = None
    ended = False

    def line_of(event: str, args: tuple) -> str:
        if event == "open":
            path, mode, given = args
            writes = (mode and set(mode) & set("wax+")) or (mode is None and given & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            return f"open {path_of(path)}" if writes and path_of(path) else ""
        if event == "os.rename":
            return f"rename {path_of(args[0])} -> {path_of(args[1])}" if path_of(args[1]) else ""
        if event in ("os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"):
            return f"{event} {path_of(args[0])}" if path_of(args[0]) else ""
        return ""

    def path_of(path: object) -> str:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return ""
        found = os.path.abspath(os.fsdecode(path))
        return found if found.startswith(WATCH + os.sep) else ""

    def hook(event: str, args: tuple) -> None:
        nonlocal waiting, ended
        if ended or event not in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"):
            return
        line = line_of(event, args)
        if not line:
            return
        os.write(count, b".")
        number = os.fstat(count).st_size
        os.write(trace, f"{line}\n".encode())
        if waiting is None and pattern is not None and pattern.search(line) and (not exists or glob.glob(exists)):
            waiting = after
        elif waiting:
            waiting -= 1
        if number == at or waiting == 0:
            ended = True
            kill(line)

    def kill(line: str) -> None:
        try:
            with_leader = os.open(os.path.join(control, "leader"), os.O_RDONLY)
            leader = int(os.read(with_leader, 32))
            done = os.open(os.path.join(control, "killed"), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except (OSError, ValueError):
            return
        os.write(done, line.encode())
        os.close(done)
        if who == "group":
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os.kill(leader, signal.SIGTERM if who == "term" else signal.SIGKILL)

    sys.addaudithook(hook)


if WATCH:
    install()
