import json
import os
import shlex
import socket

import pytest

from pretrain.base.errors import UserError
from pretrain.base.notices import shown
from pretrain.stage import Stage, changes, command_line, tensorboard_folder
from pretrain.training_log import parse_log_line, read_curve, read_training

VALID = '2026-01-01 00:00:00 | INFO | valid | {"valid_loss": "%s", "valid_accuracy": "10", "valid_num_updates": "%d"}\n'


def stage(tmp_path, *words, **changes) -> Stage:
    return Stage("test", tmp_path / "out", ["fairseq-train", *words], 10, {"lr": 1}, quiet=True, **changes)


def test_flags_are_bare_and_absent_values_left_out():
    line = command_line("pretrain", "data", {"lr": 0.1, "compile": True, "decay_all": False, "patience": None})
    assert line[:2] == ["fairseq-train", "data"] and line[4:] == ["--lr", "0.1", "--compile"]


def test_a_setting_that_a_run_does_not_name_is_not_set_or_has_its_default():
    assert changes({"lr": 1, "old": 2}, {"lr": 1.0, "new": 3, "none": None}) == "new was not set, now 3; old was 2, now not set"
    assert changes({"lr": 1}, {"lr": 1, "hold": 0}, {"hold": 0}) == ""


def test_log_lines_are_told_apart():
    tag, stats = parse_log_line(VALID % ("1.5", 20))
    assert tag == "valid" and stats["valid_num_updates"] == "20"
    assert parse_log_line("INFO | something | else") == ("", {})
    assert parse_log_line("a | INFO | valid | {broken") == ("", {})


def test_curve_keeps_the_last_value_of_a_repeated_update(tmp_path):
    (tmp_path / "train.log").write_text(VALID % ("3", 10) + VALID % ("2", 20) + VALID % ("2.5", 20))
    assert [(p["update"], p["loss"]) for p in read_curve(tmp_path)] == [(10, 3.0), (20, 2.5)]


INNER = '2026-01-01 00:00:00 | INFO | train_inner | {"loss": "%s", "num_updates": "%d", "lr": "0.1", "lr_embedding": "0.05"}\n'


def test_training_keeps_the_last_value_of_a_repeated_update_and_leaves_out_what_is_no_number(tmp_path):
    (tmp_path / "train.log").write_text(INNER % ("3", 25) + VALID % ("9", 25) + INNER % ("nan?", 50) + INNER % ("2", 25))
    assert read_training(tmp_path) == [{"update": 25, "loss": 2.0, "lr": 0.1, "lr_embedding": 0.05}]


def test_long_trainings_are_kept_as_means_of_neighbours(tmp_path):
    (tmp_path / "train.log").write_text("".join(INNER % (loss, 25 * (number + 1)) for number, loss in enumerate((6, 4, 3, 1, 5))))
    assert [(point["update"], point["loss"]) for point in read_training(tmp_path, most=3)] == [(50, 5.0), (100, 2.0), (125, 5.0)]


@pytest.mark.parametrize("installed", ["tensorboard", "tensorboardX", ""])
def test_tensorboard_needs_something_that_writes(installed, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == installed or None)
    assert tensorboard_folder("") is None
    if installed:
        assert tensorboard_folder("logs") == "logs"
    else:
        with pytest.raises(UserError, match="pip install tensorboardX"):
            tensorboard_folder("logs")


def nowhere(tmp_path) -> list[str]:
    """Words of a training on data that is not there."""
    return command_line("pretrain", tmp_path / "nowhere", {
        "task": "modular_mlm", "arch": "modular_roberta_tiny", "criterion": "modular_masked_lm", "batch_size": 2,
        "optimizer": "modular_adamw", "lr_scheduler": "modular_polynomial", "lr": 0.1, "max_update": 2})[1:]


def test_users_mistake_in_the_training_process_stays_one_line(tmp_path):
    pytest.importorskip("fairseq")
    with pytest.raises(UserError, match=r"nowhere/dict.txt: expected a fairseq dictionary"):
        stage(tmp_path, *nowhere(tmp_path)).run()


@pytest.mark.parametrize("name", ["${HOME}", "${oc.env:HOME}", "data\\", "a\\'b"])
def test_what_fairseq_takes_for_syntax_is_refused_before_anything_else(name, tmp_path):
    with pytest.raises(UserError, match="rename that folder"):
        stage(tmp_path, name)
    with pytest.raises(UserError, match="rename that folder"):
        Stage("test", tmp_path / "${x}" / "out", ["fairseq-train", "x"], 10, {})


def test_crash_of_the_training_process_names_its_log(tmp_path):
    with pytest.raises(RuntimeError, match=r"ended with code [12]; the log is .*train.log"):
        stage(tmp_path, "--no-such-option").run()


TALKATIVE = """import sys
said = "2026-01-01 00:00:00 | %s | somewhere | %s"
for text in ("3 samples have invalid sizes and will be skipped", "3 samples have invalid sizes and will be skipped", "a, b | c"):
    print(said % ("WARNING", text), flush=True)
print(said % ("INFO", "nothing to worry about"), flush=True)
print(said % ("ERROR", "half of it"), end="", flush=True)
"""


@pytest.mark.cold
def test_every_warning_of_the_training_reaches_the_user_once_and_the_log(tmp_path, monkeypatch, capfd):
    """A stand-in for fairseq's command says them; the last line has no end."""
    (tmp_path / "stand-in" / "fairseq_cli").mkdir(parents=True)
    (tmp_path / "stand-in" / "fairseq_cli" / "__init__.py").touch()
    (tmp_path / "stand-in" / "fairseq_cli" / "train.py").write_text(TALKATIVE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand-in"))
    one = stage(tmp_path)
    with shown():
        one.run()
    assert capfd.readouterr().err.splitlines() == [
        "relexify: warning: 3 samples have invalid sizes and will be skipped", "relexify: warning: a, b | c",
        "relexify: warning: half of it"]
    assert (one.folder / "train.log").read_text().count("3 samples have invalid sizes") == 2


def test_other_settings_are_refused_before_anything_runs(tmp_path):
    one = stage(tmp_path)
    one.folder.mkdir()
    (one.folder / "settings.json").write_text(json.dumps({"lr": 2}))
    (one.folder / "checkpoint_last.pt").touch()
    with pytest.raises(UserError, match=r"lr was 2, now 1"):
        one.run()
    assert (one.folder / "checkpoint_last.pt").exists()


def test_a_run_that_came_to_no_checkpoint_stands_in_no_other_ones_way(tmp_path):
    """As after a mistake that only the training process finds, a damaged dictionary for one."""
    pytest.importorskip("fairseq")
    one = stage(tmp_path, *nowhere(tmp_path))
    one.folder.mkdir()
    (one.folder / "settings.json").write_text(json.dumps({"lr": 2}))
    (one.folder / "train.log").write_text("of another run\n")
    with pytest.raises(UserError, match=r"nowhere/dict.txt: expected a fairseq dictionary"):
        one.run()
    assert json.loads((one.folder / "settings.json").read_text()) == {"lr": 1}
    assert "of another run" not in (one.folder / "train.log").read_text()


def test_several_processes_are_started_by_torchrun(tmp_path):
    line = stage(tmp_path, "x", processes=4).printed()
    assert line.startswith("torchrun --nproc-per-node=4 -m fairseq_cli.train x") and "--distributed-world-size 4" in line
    assert "--distributed-world-size" not in stage(tmp_path, "x").printed()


def test_more_processes_than_gpus_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(UserError, match="processes=2, nodes=1: expected a GPU for each process of a machine, found 1"):
        stage(tmp_path, "x", processes=2).run()


def test_truncated_checkpoint_is_named_before_anything_runs(tmp_path):
    import torch

    one = stage(tmp_path)
    one.folder.mkdir()
    last = one.folder / "checkpoint_last.pt"
    torch.save({"model": torch.zeros(1000)}, last)
    last.write_bytes(last.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"checkpoint_last.pt: the checkpoint is cut short"):
        one.run()


def test_several_nodes_are_started_by_srun_which_starts_torchrun_on_each(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "70042")
    words = shlex.split(stage(tmp_path, "x", processes=8, nodes=4).printed())
    assert words[:4] == ["srun", "--nodes=4", "--ntasks=4", "--ntasks-per-node=1"]
    torchrun = words[words.index("torchrun"):]
    assert {"--nproc-per-node=8", "--nnodes=4", f"--rdzv-endpoint={socket.gethostname()}:29542"} <= set(torchrun)


def test_several_nodes_without_an_allocation_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.delenv("SLURM_JOB_NUM_NODES", raising=False)
    with pytest.raises(UserError, match="expected a Slurm allocation of 4 nodes, found none"):
        stage(tmp_path, "x", nodes=4).run()


def test_srun_runs_the_training_on_every_node(tmp_path, monkeypatch):
    """A stand-in for srun starts its command once a node, as Slurm does; torchrun is left out of it."""
    (tmp_path / "srun").write_text("#!/bin/sh\nfor node in 0 1; do echo \"node $node: $*\" >> \"$NODES\"; done\n")
    (tmp_path / "srun").chmod(0o755)
    for name, value in (("SLURM_JOB_NUM_NODES", "2"), ("NODES", str(tmp_path / "nodes")),
                        ("PATH", f"{tmp_path}:{os.environ['PATH']}")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    stage(tmp_path, "x", processes=2, nodes=2).run()
    lines = (tmp_path / "nodes").read_text().splitlines()
    assert len(lines) == 2 and all("torch.distributed.run --nproc-per-node=2 --nnodes=2" in line for line in lines)
