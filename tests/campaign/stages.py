"""What the campaign kills: tiny commands, one for each stage and a run of all, and the moments around their finish."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRETRAIN = ROOT / "recipes" / "pretrain"
LAST = 40
"""Updates of a training."""
FINISH: dict[str, tuple[str, str]] = {
    "last step": (rf"^open .*/checkpoint_\d+_{LAST}\.pt\.tmp$", ""),
    "save": (r"^rename .* -> .*/checkpoint_last\.pt$", f"*.training/checkpoint_*_{LAST}.pt"),
    "export": (r"^os\.mkdir .*/\.out\.[a-z0-9_]{8}\.tmp$", ""),
    "rename": (r"^rename .*\.tmp -> .*/out$", ""),
}
"""The moments around the finish: a pattern on an event's line, and a file that has to be there."""


@dataclass(frozen=True)
class Stage:
    """A command to kill.

    Attributes:
        words: after `relexify`, run in a folder of its own.
        result: folder below it whose bytes have to be the same in the end.
        moments: names of `FINISH` that it has.
        keeps: whether `out.training` stays.
        begins_from: stage whose undisturbed folder it starts from.
        needs: stages whose undisturbed outputs it reads.
    """

    name: str
    words: list[str]
    result: str = "out"
    moments: tuple[str, ...] = ("export", "rename")
    keeps: bool = False
    begins_from: str = ""
    needs: tuple[str, ...] = ()


TRAINING = tuple(FINISH)
RUN = """
base: qaa
prepare: {{vocab_size: 300, documents: line}}
languages:
  qaa: {{text: {world}/text/qaa.txt}}
  qab: {{text: {world}/text/qab.txt}}
pretrain: {{recipe: {pretrain}/demo-forgetting.yaml, layers: 1, width: 16, heads: 2, ffn: 16, batch_size: 4, updates: 20,
           warmup: 4, validate_every: 5, forget_every: 5, forget_start: 0}}
arms: {{standard: {{}}}}
budgets: {{updates: [5, 20]}}
adapt: {{batch_size: 4, tokens_per_sample: 64, validate_every: 5, lr: 5e-3}}
tasks: {{xnli: {{data: {world}/nli, languages: [qab], finetune: {{updates: 10, validate_every: 5}}}}}}
finally: []
"""


def lay_out(folder: Path) -> None:
    """The miniature world and the recipe of the run, once for all trials."""
    from recipes.world import write_world

    if (folder / "run.yaml").exists():
        return
    shutil.rmtree(folder / "world", ignore_errors=True)
    write_world(folder / "world", ("qaa", "qab"), 1, words=6000, train=60, dev=20, test=40)
    (folder / "run.yaml").write_text(RUN.format(world=folder / "world", pretrain=PRETRAIN))


def stages(folder: Path) -> dict[str, Stage]:
    """All stages by name; each reads what the undisturbed ones before it wrote below `folder`."""
    made = {name: folder / "undisturbed" / name / "out" for name in ("prepare", "prepare-en", "pretrain", "adapt", "finetune")}
    world = folder / "world"
    common = ["--threads", "1", "--quiet"]

    def prepare(code: str) -> list[str]:
        return ["prepare", f"{world}/text/{code}.txt", "--language", code, "--output", "out", "--vocab-size", "300",
                "--documents", "line", "--workers", "1"]

    pretrain = ["pretrain", str(PRETRAIN / "demo-forgetting.yaml"), f"data={made['prepare-en']}", "output=out", "width=16",
                "heads=2", "ffn=16", "layers=2", "batch_size=4", f"updates={LAST}", "warmup=5", "validate_every=8",
                "forget_every=10", "forget_start=0", "dropout=0.1", "attention_dropout=0.1", "threads=1", "--quiet"]
    found = [
        Stage("prepare-en", prepare("qaa")),
        Stage("prepare", prepare("qab")),
        Stage("pretrain", pretrain, moments=TRAINING, keeps=True, needs=("prepare-en",)),
        Stage("overwrite", [*pretrain, "--overwrite"], keeps=True, begins_from="pretrain", needs=("pretrain",)),
        Stage("adapt", ["adapt", "--body", str(made["pretrain"]), "--data", str(made["prepare"]), "--output", "out", "--updates",
                        str(LAST), "--batch-size", "4", "--tokens-per-sample", "64", "--validate-every", "8",
                        "--save-embeddings-at", "8,20,32", *common], moments=TRAINING, needs=("prepare", "pretrain")),
        Stage("finetune", ["finetune", "--body", str(made["pretrain"]), "--task", "xnli", "--data", f"{world}/nli", "--output",
                           "out", "--updates", str(LAST), "--validate-every", "8", "--batch-size", "4", *common],
              moments=TRAINING, needs=("pretrain",)),
        Stage("evaluate", ["evaluate", "--body", str(made["finetune"]), "--embedding", str(made["pretrain"]), "--embedding",
                           str(made["adapt"]), "--task", "xnli", "--split", "test", "--data", f"{world}/nli", "--output", "out"],
              needs=("adapt", "finetune")),
        Stage("run", ["run", str(folder / "run.yaml"), "--output", "run", "--cores", "2", "--quiet"], result="store", moments=()),
    ]
    return {stage.name: stage for stage in found}
