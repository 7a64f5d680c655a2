"""Examples that `--help` prints and that train: they run as they are written but for sizes, with what stands beside them, in a
folder that holds what they read."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from recipes.cli import main
from tests.journeys.inputs import pairs, squad, write_json, write_nli, write_texts
from tests.killing import ROOT
from tests.test_documents import commands, examples

for package in ("fairseq", "sentencepiece"):
    pytest.importorskip(package)

OLD = ROOT / "tests" / "fixtures" / "artefacts"
CHAINS: tuple[tuple[str, ...], ...] = (
    ("pretrain recipes/pretrain/laptop-forgetting.yaml", "split runs/en.training"),
    ("pretrain recipes/pretrain/continue-standard.yaml",),
    ("adapt --body runs/en --data data/sw --output runs/sw --updates 2000",),
    ("config adapt lr=2e-3", "adapt --recipe sw.yaml"),
    ("finetune --body runs/en --task xnli",), ("finetune --body runs/en --task squad",), ("finetune --body runs/en --task panx",),
    ("finetune --body runs/qaa --task xnli",), ("finetune --body runs/electra --task xnli",),
    ("multitask", "evaluate --body runs/glue", "finetune --body runs/glue"),
    ("teach --body runs/xnli-large", "finetune --body runs/en-small"),
    ("arct build", "arct validate", "arct cues", "finetune --body runs/en --task arct", "arct runs"),
)
"""How examples begin that are run one after another."""
TRAINING = ("pretrain", "adapt", "finetune", "multitask", "split")
BUT = ("hf:",)
"""What an example holds that would have to be downloaded."""
SMALL = "--validate-every 2 --batch-size 4 --threads 1"
LEAN: tuple[tuple[str, str], ...] = (
    (r"pretrain ", "updates=20 warmup=2 validate_every=10 tokens_per_sample=32 batch_size=4 threads=1"),
    (r"pretrain \S*laptop-", "forget_every=10 forget_start=0 layers=1 width=16 ffn=16 heads=2"),
    (r"pretrain \S*continue-", "updates=4 head_only_updates=2 warmup=1 validate_every=2"),
    (r"adapt ", f"--updates 4 --tokens-per-sample 32 {SMALL}"),
    (r"multitask ", f"--updates 4 {SMALL}"), (r"finetune ", SMALL), (r"finetune (?!.*--epochs)", "--updates 4"),
)
"""A pattern on a command, and what is appended so that it takes seconds."""
INSTEAD = ((r"--seeds 1,2,3,4,5", "--seeds 1,2"), (r"--max-length 128", "--max-length 32"))


def every() -> list[str]:
    """The examples without `relexify`, each once."""
    found = [re.split(r"\s{3,}", line)[0] for text in examples().values() for line in commands(re.sub(r"\\\n\s*", "", text))]
    return list(dict.fromkeys(line.removeprefix("relexify ") for line in found))


def chain(starts: tuple[str, ...]) -> list[str]:
    return [line for start in starts for line in every() if line.startswith(start)]


def write_tags(folder: Path) -> None:
    folder.mkdir()
    for split, count in (("train", 12), ("dev", 6)):
        rows = "".join(f"ana\tB-PER\nlives\tO\nin\tO\nrome\tB-LOC\nno{n}\tO\n\n" for n in range(count))
        (folder / f"{split}-en.tsv").write_text(rows)


def write_glue(folder: Path) -> None:
    """RTE and STS-B in GLUE's files, RTE also in another language, and a mixture of both."""
    for name, columns, last in (("RTE", "index\tsentence1\tsentence2\tlabel", ("entailment", "not_entailment")),
                                ("STS-B", "index\tsentence1\tsentence2\tscore", ("1.000", "4.000"))):
        (folder / "glue" / name).mkdir(parents=True)
        for split, count in (("train", 24), ("dev", 8)):
            rows = "".join(f"{n}\t{a}\t{b}\t{last[n % 2]}\n" for n, (a, b, _) in enumerate(pairs("en", count, 3)))
            (folder / "glue" / name / f"{split}.tsv").write_text(f"{columns}\n{rows}")
    shutil.copy(folder / "glue" / "RTE" / "dev.tsv", folder / "glue" / "dev-sw.tsv")
    mixture = "policy: proportional\ntasks:\n  rte: {data: glue, head: san}\n  stsb: {data: glue, weight: 0.5}\n"
    (folder / "glue.yaml").write_text(mixture)


def write_arguments(folder: Path) -> None:
    """ARCT's files, one of them with the claims of another negated."""
    (folder / "arct").mkdir()
    header = "#id\twarrant0\twarrant1\tcorrectLabelW0orW1\treason\tclaim\tdebateTitle\tdebateInfo\n"
    for name, mirrored in (("train", False), ("dev", False), ("test", False), ("test_adversarial", True)):
        rows = [f"{n}\tcats can\tcats can not\t{n % 2}\tBecause {n}\tCats rule\tt\ti\n" for n in range(8)]
        rows += [f"{n}-adversarial\tcats can\tcats can not\t{1 - n % 2}\tBecause {n}\tCats do not rule\tt\ti\n"
                 for n in range(8 * mirrored)]
        (folder / "arct" / f"{name}-en.tsv").write_text(header + "".join(rows))
    shutil.copy(folder / "arct" / "train-en.tsv", folder / "train.tsv")
    shutil.copy(folder / "arct" / "test_adversarial-en.tsv", folder / "test-adv-negated.csv")
    (folder / "claim_map.csv").write_text("original,negated\nCats rule,Cats do not rule\n")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples read, under the names that they give it."""
    folder = tmp_path_factory.mktemp("help")
    for name, place, language in (
            ("runs/en", "roberta", "en"), ("runs/sw", "qab", "sw"), ("runs/qaa", "roberta", "qaa"),
            ("runs/electra", "electra", "en"), ("models/bert", "roberta", "en"), ("runs/xnli-large", "xnli", "en"),
            ("runs/en-large", "roberta", "en"), ("runs/en-small", "roberta", "en")):
        shutil.copytree(OLD / place, folder / name)
        for record in (folder / name).rglob("embedding.json"):
            record.write_text(json.dumps({**json.loads(record.read_text()), "language": language}))
    shutil.copytree(OLD / "prepared-qab", folder / "data" / "sw")
    write_texts(folder)
    assert main(["prepare", str(folder / "sw.txt"), "--language", "en", "--output", str(folder / "data" / "en"), "--tokenizer",
                 str(OLD / "roberta" / "embedding"), "--tokens", "20k", "--workers", "1"]) == 0
    write_nli(folder)
    (folder / "xnli").rename(folder / "XNLI-1.0")
    lines = (folder / "multinli_1.0_train.jsonl").read_text().splitlines(keepends=True)[:24]
    for place in (folder, folder / "XNLI-1.0"):
        (place / "multinli_1.0_train.jsonl").write_text("".join(lines))
    for split in ("train", "dev"):
        write_json(folder / "SQuAD" / f"{split}-v1.1.json", squad("en", 12, 7))
    (folder / "world" / "nli").mkdir(parents=True)
    for split, count in (("train", 24), ("dev", 6)):
        rows = "".join("\t".join(row) + "\n" for row in pairs("en", count, 5))
        (folder / "world" / "nli" / f"{split}-qaa.tsv").write_text(f"premise\thypothesis\tlabel\n{rows}")
    write_tags(folder / "panx")
    write_glue(folder)
    write_arguments(folder)
    return folder


def lean(command: str) -> list[str]:
    """The words as they are run."""
    for pattern, ours in INSTEAD:
        command = re.sub(pattern, ours, command)
    return shlex.split(command) + [word for pattern, more in LEAN if re.match(pattern, command) for word in more.split()]


@pytest.mark.slow
@pytest.mark.parametrize("starts", CHAINS, ids=lambda starts: starts[-1])
def test_examples_that_train_run(starts: tuple[str, ...], inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                 capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(inputs, tmp_path, dirs_exist_ok=True)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    made: list[str] = []
    for command in chain(starts):
        line, _, file = command.partition(" > ")
        output = (re.findall(r"(?:--output |output=)(\S+)", line) or [""])[0] if not line.startswith("config") else ""
        if output and output not in made and (tmp_path / output).exists():  # what is written beside what is there
            shutil.rmtree(tmp_path / output)
        if line.startswith("split"):  # what the training before it has written
            shutil.rmtree(tmp_path / output)
        elif line.startswith("adapt --recipe"):  # whose output the recipe names
            shutil.rmtree(tmp_path / "runs" / "sw")
        capfd.readouterr()
        assert main(lean(line)) == 0, f"{command}\n{capfd.readouterr().err[-3000:]}"
        if file:
            (tmp_path / file).write_text(capfd.readouterr().out)
        if output:
            made.append(output)
            assert (tmp_path / output).exists(), command


def test_every_example_that_trains_is_run() -> None:
    run = {line for starts in CHAINS for line in chain(starts)}
    assert all(any(line.startswith(start) for line in run) for starts in CHAINS for start in starts)
    # what the quick start holds is run with it (test_readme.py)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    left = [line for line in every() if line.split()[0] in TRAINING and line not in run and not any(word in line for word in BUT)]
    assert [line for line in left if f"relexify {line.split(' --output')[0].split(' --embedding')[0]}" not in readme] == []
