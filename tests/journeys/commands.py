"""Commands of README, run as a reader runs them: in order, by a shell, in a folder that holds the recipes and the reader's files.

A command stays as it is written, but for what `LEAN` appends where it would take minutes, and `INSTEAD` where it names what only
the reader has.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.killing import ROOT

LEAN: tuple[tuple[str, str], ...] = (
    (r"relexify pretrain \S*laptop-\S+ ", "updates=40 validate_every=20 warmup=4 layers=1 width=32 ffn=32 heads=2 threads=1"),
    (r"relexify pretrain \S*laptop-electra-\S+ ", "embedding_width=32"),
    (r"relexify adapt ", "--updates 20 --validate-every 10 --batch-size 8 --threads 1"),
    (r"relexify finetune ", "--updates 20 --validate-every 10 --batch-size 8 --threads 1"),
    (r"fairseq-train ", "--max-update 8 --save-interval-updates 4 --validate-interval-updates 4 --warmup-updates 2"),
    (r"fairseq-train data/\S+ --user-dir pretrain ", "--max-update 20 --forget-every 10 --save-interval-updates 10"),
    (r"relexify world ", "--words 8000 --train 60 --dev 20 --test 40"),
    (r"relexify run \S*tiny.yaml", "seeds=[1] budgets.updates=[4] pretrain.updates=20 pretrain.width=16 pretrain.ffn=16 "
     "pretrain.layers=1 pretrain.heads=2 pretrain.validate_every=10 pretrain.warmup=2 arms.forgetting.forget_every=10 "
     "arms.forgetting.forget_start=0 adapt.validate_every=2 prepare.vocab_size=300 tasks.xnli.finetune.updates=4 "
     "tasks.xnli.finetune.validate_every=2"),
)
"""A pattern on a command, and what is appended to it so that it takes seconds; all that fit are appended in this order."""
INSTEAD: tuple[tuple[str, str], ...] = (
    (r"hf:bert-base-uncased", "their-bert"),
    (r"--discriminator DIR --generator DIR", "--discriminator their-electra/discriminator --generator their-electra/generator"),
)
"""What stands for something that only the reader has, or that would have to be downloaded -> what the tests have."""


PROGRAMS = ("relexify ", "fairseq-train ")


def section(page: Path, heading: str) -> list[str]:
    """The commands of the code blocks below a heading, up to the next heading of any level, without their comments; first those
    that the text beside them says went before, for each language that it says CODE stands for."""
    here = code = False
    lines: list[str] = []
    before: list[str] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            code = not code
        elif not code and line.startswith("#"):
            here = line.lstrip("#").strip() == heading
        elif here and code:
            lines.append(line)
        elif here:
            before.append(line)
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [re.sub(r"\s{2,}#.*$", "", line).strip() for line in text.splitlines() if line.startswith(PROGRAMS)]
    said = " ".join(before)
    codes = next(iter(re.findall(r"CODE = (\w+) and (\w+)", said)), ())
    first = re.findall(r"`(relexify [^`]+ --output [^`]+)`", said)
    return [command.replace("CODE", code) for command in first for code in (codes if "CODE" in command else ("",))] + found


def lean(command: str) -> str:
    """The command as it is run."""
    for pattern, ours in INSTEAD:
        command = re.sub(pattern, ours, command)
    line, arrow, file = command.partition(" > ")
    words = " ".join(more for pattern, more in LEAN if re.match(pattern, command))
    if words and not words.startswith("--"):  # settings stand behind the recipe, options at the end
        recipe = re.match(r"relexify \S+ \S+\.yaml", line)
        assert recipe, command
        return f"{line[:recipe.end()]} {words}{line[recipe.end():]}{arrow}{file}"
    return f"{line} {words}".strip() + arrow + file


@dataclass
class Reader:
    """Somebody who follows README.

    Attributes:
        folder: where commands are run.
        environment: beside the usual one.
    """

    folder: Path
    environment: dict[str, str]

    def sit_down(self) -> None:
        """The folder as after `git clone … && cd relexify`, as far as commands name what is in it, and the programs."""
        for name in ("recipes", "pretrain", "adapt", "tasks"):
            (self.folder / name).symlink_to(ROOT / name)
        place = self.folder.parent / "bin"
        place.mkdir(exist_ok=True)
        for name, words in (("relexify", "-P -m recipes.cli"), ("fairseq-train", "-m fairseq_cli.train")):
            (place / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words} "$@"\n')
            (place / name).chmod(0o755)
        self.environment = {**self.environment, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}",
                            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))}

    def types(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command as README has it; what it prints to, it prints to."""
        return subprocess.run(["sh", "-c", lean(command)], cwd=self.folder, env={**os.environ, **self.environment}, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=900)
