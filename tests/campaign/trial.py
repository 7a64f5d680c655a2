"""One trial: a command that is killed, repeated, killed again, and at last left alone; then its bytes are compared."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.stages import FINISH, ROOT, Stage

INJECT = Path(__file__).resolve().parent / "inject"
LIMIT = 900.0
WHO = ("group", "group", "parent", "term")
"""Who is killed: the process group, the relexify process alone, or that by SIGTERM."""


@dataclass
class Kill:
    """A moment to kill at: an event's number, a moment around the finish, or a time."""

    moment: str
    who: str
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def draw(stage: Stage, moment: str, random_: random.Random, events: int, seconds: float) -> Kill:
    """A kill of a stage whose undisturbed run had so many events and took so long."""
    who = random_.choice(WHO)
    if moment == "time":
        return Kill(moment, who, seconds=random_.uniform(0.2, seconds))
    if moment == "event":
        return Kill(moment, who, {"CAMPAIGN_AT": str(random_.randint(1, events))})
    pattern, exists = FINISH[moment]
    return Kill(moment, who, {"CAMPAIGN_PATTERN": pattern, "CAMPAIGN_EXISTS": exists,
                              "CAMPAIGN_AFTER": str(random_.randint(0, 3))})


def attempt(stage: Stage, folder: Path, control: Path, kill: Kill | None = None) -> tuple[int, bool, str]:
    """Runs the command once; returns its exit code, whether it was killed, and what it said."""
    shutil.rmtree(control, ignore_errors=True)
    control.mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": f"{INJECT}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1",
                   "CAMPAIGN_WATCH": str(folder), "CAMPAIGN_CONTROL": str(control), "CAMPAIGN_WHO": kill.who if kill else "",
                   **(kill.environment if kill else {})}
    with open(control / "said", "wb") as said:
        child = subprocess.Popen([sys.executable, "-m", "recipes.cli", *stage.words], cwd=folder, env=environment, stdout=said,
                                 stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        (control / "leader").write_text(str(child.pid))
        by_time = False
        try:
            code = child.wait(kill.seconds if kill and kill.seconds else LIMIT)
        except subprocess.TimeoutExpired:
            by_time = bool(kill and kill.seconds)
            if not by_time or kill is None or kill.who == "group":
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.send_signal(signal.SIGTERM if kill.who == "term" else signal.SIGKILL)
            code = child.wait(60)
    wait_for_all(control)
    return code, by_time or (control / "killed").exists(), (control / "said").read_text(errors="replace")


def wait_for_all(control: Path, seconds: float = 30.0) -> None:
    """Waits for everything that the attempt has started; what is still there after that is an orphan.

    Raises:
        AssertionError: an orphan.
    """
    limit = time.monotonic() + seconds
    while left := of_attempt(control):
        if time.monotonic() > limit:
            for process in left:
                os.kill(process, signal.SIGKILL)
            raise AssertionError(f"{len(left)} processes live on after the command was killed")
        time.sleep(0.05)


def of_attempt(control: Path) -> list[int]:
    """Processes of an attempt, told by their environment."""
    mark, found = f"CAMPAIGN_CONTROL={control}".encode(), []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                if mark in (place / "environ").read_bytes().split(b"\0") and " Z " not in (place / "stat").read_text():
                    found.append(int(place.name))
            except OSError:
                continue
    return found


def digest(folder: Path, result: str) -> dict[str, str]:
    """SHA-256 by path of everything in the result; training folders count by their presence only, links by their target."""
    found = {}
    for place in sorted((folder / result).rglob("*")):
        name = str(place.relative_to(folder))
        inside = any(part.endswith(".training") for part in Path(name).parts[:-1])
        remembered = place.name == ".hashes.json"  # the hashes of inputs by their times: a cache
        if inside or remembered or "/.locks" in f"/{name}" or place.is_dir():
            continue
        found[name] = hashlib.sha256(place.read_bytes()).hexdigest()
    return found


def rest(stage: Stage, folder: Path) -> list[str]:
    """What a finished command should not have left."""
    names = [place.name for place in folder.iterdir()]
    left = [name for name in names if name.startswith(".") or (name.endswith(".training") and not stage.keeps)]
    if stage.result == "store":
        left += [str(place.relative_to(folder)) for place in (folder / "store").glob("*/.*")
                 if place.parent.name != ".locks" and place.suffix in (".tmp", ".old")]
        left += [str(place.relative_to(folder)) for place in (folder / "store").glob("adapt/*.training")]
    return left


def finished(stage: Stage, code: int, said: str) -> bool:
    """Whether the command is done: it has ended well, or says that its output, which is whole by its making, is there."""
    return code == 0 or (code == 2 and "the output already exists" in said)


def trial(stage: Stage, folder: Path, kills: list[Kill], undisturbed: Path) -> dict[str, object]:
    """Kills a command at each of the moments, then lets it finish.

    Returns:
        What happened: moments that were met, and `identical`, or what was wrong.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if stage.begins_from:
        shutil.copytree(undisturbed.parent / stage.begins_from, folder)
    else:
        folder.mkdir()
    control = folder.with_name(folder.name + "-control")
    met: list[str] = []
    code, said = -1, ""
    try:
        for kill in kills:
            code, killed, said = attempt(stage, folder, control, kill)
            if not killed:
                break
            met.append(f"{kill.moment}/{kill.who}")
            if kill.who == "term" and kill.moment == "time" and code not in (143, -signal.SIGTERM, 0):
                raise AssertionError(f"code {code} after SIGTERM: {said[-300:]}")
        else:
            code, _, said = attempt(stage, folder, control)
        if not finished(stage, code, said):
            return {"stage": stage.name, "kills": met, "identical": False, "wrong": f"code {code}: {said[-600:]}"}
    except AssertionError as error:
        return {"stage": stage.name, "kills": met, "identical": False, "wrong": str(error)}
    expected, got = digest(undisturbed, stage.result), digest(folder, stage.result)
    wrong = [name for name in sorted({*expected, *got}) if expected.get(name) != got.get(name)] + rest(stage, folder)
    if not wrong:
        shutil.rmtree(folder)
        shutil.rmtree(control)
    return {"stage": stage.name, "kills": met, "identical": not wrong, **({"wrong": ", ".join(wrong[:10])} if wrong else {})}
