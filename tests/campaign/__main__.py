"""`python -m tests.campaign FOLDER --kills 200`: the campaign of kills (docs/reliability.md).

Trials are noted in FOLDER/trials.jsonl; the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.campaign.stages import Stage, lay_out, stages
from tests.campaign.trial import attempt, draw, trial

STAGES = ("prepare", "pretrain", "adapt", "finetune", "evaluate")
ROUND = (*STAGES, *STAGES, "overwrite", *STAGES, *STAGES, "run")
"""Stages of a round of trials."""
KNOWN = (*STAGES, "overwrite", "run")
TOGETHER = 4
"""Kills of a trial, unless its command is done before."""


def weighed(text: str) -> tuple[str, ...]:
    """`pretrain:3,run` -> the stages of a round, those of more weight spread over it."""
    parts = [part.partition(":") for part in text.split(",")]
    if wrong := [name for name, _, count in parts if name not in KNOWN or not (count or "1").isdecimal() or count == "0"]:
        raise argparse.ArgumentTypeError(f"{wrong[0]}: expected NAME or NAME:N with N from 1, names: {', '.join(KNOWN)}")
    places = [((turn + 0.5) / int(count or 1), number, name) for number, (name, _, count) in enumerate(parts)
              for turn in range(int(count or 1))]
    return tuple(name for _, _, name in sorted(places))


def undisturbed(stage: Stage, folder: Path) -> dict[str, Any]:
    """Runs a stage without a kill, once; returns how many events it has and how long it takes."""
    place, record = folder / "undisturbed" / stage.name, folder / "undisturbed" / f"{stage.name}.json"
    if not record.exists():
        import shutil

        shutil.rmtree(place, ignore_errors=True)
        if stage.begins_from:
            shutil.copytree(folder / "undisturbed" / stage.begins_from, place)
        else:
            place.mkdir(parents=True)
        control, begun = folder / "undisturbed" / f"{stage.name}-control", time.monotonic()
        code, _, said = attempt(stage, place, control)
        if code:
            raise SystemExit(f"{stage.name} failed undisturbed: {said}")
        record.write_text(json.dumps({"events": (control / "count").stat().st_size, "seconds": time.monotonic() - begun}))
    return dict(json.loads(record.read_text()))


def planned(number: int, known: dict[str, Stage], cost: dict[str, dict[str, Any]], seed: int,
            names: tuple[str, ...]) -> tuple[Stage, list[Any]]:
    """The trial of this number: its stage and its kills."""
    drawn = random.Random(seed * 1_000_003 + number)
    stage = known[names[number % len(names)]]
    choices = [*stage.moments, "event", "time"]
    first = choices[(number // len(names)) % len(choices)]
    moments = [first, *(drawn.choice(choices) for _ in range(TOGETHER - 1))]
    return stage, [draw(stage, moment, drawn, **cost[stage.name]) for moment in moments]


def campaign(folder: Path, kills: int, seed: int = 1, jobs: int = 1, names: tuple[str, ...] = ROUND) -> dict[str, Any]:
    """Trials until there were so many kills; returns the figures of all trials noted in the folder."""
    folder = folder.resolve()
    lay_out(folder)
    known = stages(folder)
    needed = set(names)
    while more := {need for name in needed for need in known[name].needs} - needed:
        needed |= more
    cost = {name: undisturbed(known[name], folder) for name in known if name in needed}
    notes = folder / "trials.jsonl"
    done = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
    number = max((one["number"] for one in done), default=-1) + 1
    with ThreadPoolExecutor(jobs) as pool:
        while sum(len(one["kills"]) for one in done) < kills:
            def one(this: int) -> dict[str, Any]:
                stage, chosen = planned(this, known, cost, seed, names)
                return {"number": this, **trial(stage, folder / "trials" / f"{this:04d}-{stage.name}", chosen,
                                                folder / "undisturbed" / stage.name)}
            for result in pool.map(one, range(number, number + jobs)):
                done.append(result)
                with open(notes, "a") as file:
                    file.write(json.dumps(result) + "\n")
                if not result["identical"]:
                    print(json.dumps(result), flush=True)
            number += jobs
            print(said(done), flush=True)
    return figures(done)


def figures(done: list[dict[str, Any]]) -> dict[str, Any]:
    """Trials, kills and identical results, in all and by stage."""
    table = {name: {"trials": 0, "kills": 0, "identical": 0} for name in ["all", *sorted({one["stage"] for one in done})]}
    for one in done:
        for name in ("all", one["stage"]):
            table[name]["trials"] += 1
            table[name]["kills"] += len(one["kills"])
            table[name]["identical"] += bool(one["identical"])
    return table


def said(done: list[dict[str, Any]]) -> str:
    one = figures(done)["all"]
    return f"{one['trials']} trials, {one['kills']} kills, {one['identical']} identical"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description="Kills every stage; compares what comes out.")
    parser.add_argument("folder", type=Path, help="where to work; the same folder goes on")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time")
    parser.add_argument("--stages", type=weighed, default=ROUND, metavar="NAME[:N],…", help="stages of a round and how often "
                        f"each comes in it, as pretrain:3,run (of {', '.join(KNOWN)})")
    args = parser.parse_args()
    table = campaign(args.folder, args.kills, args.seed, args.jobs, args.stages)
    for name, one in table.items():
        print(f"{name:10} {one['trials']:5} trials {one['kills']:5} kills {one['identical']:5} identical")
    return int(table["all"]["trials"] != table["all"]["identical"])


if __name__ == "__main__":
    sys.exit(main())
