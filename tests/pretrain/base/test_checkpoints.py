"""fairseq and transformers beside today's torch: what loads, what is refused, what a kill leaves behind."""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain.base.checkpoints import checkpoint_globals, load_checkpoint
from pretrain.base.errors import UserError
from tests.killing import warm

ROOT = Path(__file__).resolve().parents[3]


def run(code: str, *arguments: object, path: Path | None = None, server: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(p) for p in (path, ROOT) if p)}
    if server:
        environment = warm(server)
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], env=environment,
                          capture_output=True, text=True, timeout=120)


def checked(code: str, *arguments: object, path: Path | None = None, server: str = "") -> str:
    result = run(code, *arguments, path=path, server=server)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


# One process trains all the stock models, because importing fairseq takes seconds and training them does not.
STOCK = """
    import json, os, sys
    from pathlib import Path

    import torch

    from pretrain.base.checkpoints import checkpoint_globals, prepare_fairseq, quiet_fairseq

    os.chdir(sys.argv[1])
    found = {}
    quiet_fairseq()
    import fairseq.file_io
    from fairseq import checkpoint_utils
    from fairseq.data import Dictionary, indexed_dataset
    from fairseq.logging import metrics
    from fairseq_cli.train import cli_main


    def write(folder, words, rows):
        Path(folder).mkdir(parents=True)
        dictionary = Dictionary()
        for word in range(words):
            dictionary.add_symbol(str(word))
        dictionary.save(f"{folder}/dict.txt")
        for split, count in (("train", 40), ("valid", 8)):
            builder = indexed_dataset.make_builder(f"{folder}/{split}.bin", "mmap", vocab_size=len(dictionary))
            for row in rows(count, len(dictionary)):
                builder.add_item(row)
            builder.finalize(f"{folder}/{split}.idx")


    def text(count, size):
        generator = torch.Generator().manual_seed(0)
        rows = torch.randint(4, size, (count, 14), generator=generator)
        return [torch.cat([row, torch.tensor([2])]) for row in rows]


    write("text", 40, text)
    write("task/input0", 40, text)
    write("task/label", 2, lambda count, size: [torch.tensor([4 + i % 2]) for i in range(count)])


    def train(data, save_dir, updates, *more):
        if hasattr(checkpoint_utils.save_checkpoint, "best"):
            del checkpoint_utils.save_checkpoint.best
        metrics.reset()
        sys.argv = ["fairseq-train", data, "--save-dir", save_dir, "--max-update", str(updates), *more,
                    *"--arch roberta --encoder-layers 1 --encoder-embed-dim 16 --encoder-ffn-embed-dim 32"
                    " --encoder-attention-heads 2 --max-positions 16 --batch-size 8 --optimizer adam --lr 1e-3 --cpu"
                    " --num-workers 0 --log-format none --no-epoch-checkpoints".split()]
        cli_main()


    def loads(path):
        try:
            return sorted(torch.load(path))
        except Exception as error:
            return type(error).__name__


    MASKED = "--task masked_lm --criterion masked_lm --tokens-per-sample 16".split()
    train("text", "before", 1, *MASKED)
    found["before"] = loads("before/checkpoint_last.pt")

    before = set(torch.serialization.get_safe_globals())
    prepare_fairseq()
    manager = checkpoint_utils.PathManager
    prepare_fairseq()
    found["idempotent"] = checkpoint_utils.PathManager is manager
    found["class_untouched"] = fairseq.file_io.PathManager is not manager
    found["exactly"] = set(torch.serialization.get_safe_globals()) - before == set(checkpoint_globals())

    train("text", "whole", 4, *MASKED)
    found["after"] = loads("whole/checkpoint_last.pt")
    train("text", "parts", 2, *MASKED)
    train("text", "parts", 4, *MASKED)
    train("text", "half", 2, *MASKED)
    train("text", "restored", 4, *MASKED, "--restore-file", "half/checkpoint_last.pt")
    whole = torch.load("whole/checkpoint_last.pt")
    for name in ("parts", "restored"):
        other = torch.load(f"{name}/checkpoint_last.pt")
        found[name] = all(torch.equal(tensor, other["model"][key]) for key, tensor in whole["model"].items())
        found[f"{name}_updates"] = other["optimizer_history"][-1]["num_updates"]

    train("text", "patient", 2, *MASKED, "--patience", "3", "--best-checkpoint-metric", "ppl",
          "--keep-best-checkpoints", "2", "--save-interval-updates", "1", "--keep-interval-updates", "1")
    found["patient"] = {path.name: loads(path) for path in Path("patient").glob("*.pt")}

    SCORED = ("--task sentence_prediction --criterion sentence_prediction --num-classes 2 --add-prev-output-tokens"
              " --report-acc-and-f1 --best-checkpoint-metric acc_and_f1 --maximize-best-checkpoint-metric").split()
    train("task", "scored", 2, *SCORED)
    found["scored_best"] = type(torch.load("scored/checkpoint_best.pt")["extra_state"]["best"]).__name__
    train("task", "scored", 4, *SCORED)
    found["scored_updates"] = torch.load("scored/checkpoint_last.pt")["optimizer_history"][-1]["num_updates"]

    # What fairseq wrote before it had configurations: everything in `args`.
    state = torch.load("whole/checkpoint_last.pt")
    state["args"] = state.pop("cfg")["model"]
    torch.save(state, "legacy.pt")
    found["legacy"] = sorted(checkpoint_utils.load_checkpoint_to_cpu("legacy.pt"))

    class Evil:
        def __reduce__(self):
            return os.system, ("touch pwned",)

    torch.save({"args": Evil(), "model": {}}, "evil.pt")
    try:
        checkpoint_utils.load_checkpoint_to_cpu("evil.pt")
        found["evil"] = "loaded"
    except Exception as error:
        found["evil"] = type(error).__name__
    found["left_over"] = [str(path) for path in (*Path(".").rglob("*.tmp"), *Path(".").glob("pwned"))]
    json.dump(found, open("found.json", "w"))
"""


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    pytest.importorskip("fairseq.version")
    folder = tmp_path_factory.mktemp("stock")
    result = run(STOCK, folder)
    assert result.returncode == 0, result.stderr[-2000:]
    return folder, json.loads((folder / "found.json").read_text()), result.stdout + result.stderr


def test_fairseq_loads_what_it_wrote(stock):
    found = stock[1]
    assert found["before"] == "UnpicklingError", "fairseq's checkpoints load unaided: drop the registration"
    assert {"cfg", "model", "extra_state", "last_optimizer_state"} <= set(found["after"])
    assert {"checkpoint_best.pt", "checkpoint_last.pt"} <= set(found["patient"])
    assert all(isinstance(keys, list) for keys in found["patient"].values())
    assert {"args", "model"} <= set(found["legacy"])


def test_numpy_scores_load_and_resume(stock):
    assert stock[1]["scored_best"] == "float64"
    assert stock[1]["scored_updates"] == 4


def test_resume_equals_uninterrupted_run(stock):
    found = stock[1]
    assert found["parts"] and found["restored"]
    assert found["parts_updates"] == found["restored_updates"] == 4


def test_registers_exactly_what_is_needed_and_once(stock):
    found = stock[1]
    assert found["exactly"] and found["idempotent"] and found["class_untouched"]
    assert found["evil"] == "UnpicklingError"
    assert found["left_over"] == []


def test_tensorboard_line_is_dropped(stock):
    assert "tensorboardX" not in stock[2]


def test_load_checkpoint_without_fairseq(stock):
    code = """
        import sys
        import torch
        from pretrain.base.checkpoints import load_checkpoint
        sys.modules["fairseq"] = None  # Python's way to say that it is not there
        before = set(torch.serialization.get_safe_globals())
        for path in sys.argv[1:]:
            print(sorted(load_checkpoint(path))[-1], end=" ")
        assert set(torch.serialization.get_safe_globals()) == before
    """
    folder = stock[0]
    files = folder / "whole/checkpoint_last.pt", folder / "scored/checkpoint_best.pt"
    assert checked(code, *files, server="plain") == "task_state " * 2


@pytest.mark.parametrize("kept", [0, 3, 100, 0.3, 0.5, 0.99])
def test_truncated_checkpoint_is_one_line(stock, tmp_path, kept):
    content = (stock[0] / "whole/checkpoint_last.pt").read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(content[:kept if isinstance(kept, int) else int(len(content) * kept)])
    with pytest.raises(UserError, match=r"cut\.pt: expected a fairseq checkpoint, found .+; \w+") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("module", ["numpy._core.multiarray", "numpy.core.multiarray"])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_numpy_scalars_of_either_numpy(tmp_path, kind, module, zipped):
    file = io.BytesIO()
    torch.save({"model": {}, "extra_state": {"best": kind(0.5)}}, file, _use_new_zipfile_serialization=zipped)
    content = file.getvalue()
    if not zipped:  # the old format is bare pickles, whose names can be exchanged in place
        assert b"cnumpy._core.multiarray\n" in content or b"cnumpy.core.multiarray\n" in content
        content = content.replace(b"cnumpy._core.", b"cnumpy.core.")
        content = content.replace(b"cnumpy.core.multiarray", b"c" + module.encode())
    (tmp_path / "m.pt").write_bytes(content)
    best = load_checkpoint(tmp_path / "m.pt")["extra_state"]["best"]
    assert best == 0.5 and type(best) is kind


def test_loading_leaves_an_earlier_registration(tmp_path):
    torch.save({"model": {}}, tmp_path / "m.pt")
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals(checkpoint_globals())
    try:
        load_checkpoint(tmp_path / "m.pt")
        assert set(checkpoint_globals()) <= set(torch.serialization.get_safe_globals())
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_code_in_a_checkpoint_is_refused(tmp_path, form):
    content, path = {"model": Evil(tmp_path / "pwned")}, tmp_path / "evil.pt"
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UserError, match=r"evil\.pt: refused: its pickle asks for '(posix|nt)\.system'"):
        load_checkpoint(path)
    assert not (tmp_path / "pwned").exists()


def test_other_files_are_named_for_what_they_are(tmp_path):
    path = tmp_path / "x.pt"
    for content, message in ((b"a text, not a model", r"begin with b'a te', which is no torch file"),
                             (b"PK\x03\x04" + bytes(300), r"truncated or damaged"),
                             (pickle.dumps({"model": {}}, protocol=2), r"no torch file")):
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            load_checkpoint(path)
    for content, message in (([1], "found an object of type list"),
                             ({"a": 1}, r"found a dictionary with the keys \['a'\]"),
                             ({"model": 1}, "state dict under 'model'")):
        torch.save(content, path)
        with pytest.raises(UserError, match=message):
            load_checkpoint(path)
    with pytest.raises(UserError, match=r"none\.pt: expected a fairseq checkpoint .*found nothing"):
        load_checkpoint(tmp_path / "none.pt")


# Stands in for fairseq.checkpoint_utils, so that a kill can be placed in the middle of a copy.
COPY = """
    import os, shutil, signal, sys, types
    from pretrain.base import checkpoints as compat

    class Stock:
        @staticmethod
        def copy(src_path, dst_path, overwrite=False):
            print("stock", dst_path)
            return True

        @staticmethod
        def path_requires_pathmanager(path):
            return path.startswith("s3://")

    module = types.SimpleNamespace(PathManager=Stock)
    compat._write_checkpoints_whole(module)
    source, target, kill = sys.argv[1:]

    def half(source, target):
        with open(source, "rb") as file, open(target, "wb") as out:
            out.write(file.read()[:1000])
        os.kill(os.getpid(), signal.SIGKILL)

    if kill == "kill":
        compat.shutil.copyfile = half
    assert module.PathManager.copy(source, target, overwrite=True)
    module.PathManager.copy(source, "s3://bucket/x")
"""


def test_copy_is_whole_or_absent(tmp_path):
    source, target = tmp_path / "checkpoint_best.pt", tmp_path / "checkpoint_last.pt"
    source.write_bytes(b"new" * 1000)
    target.write_bytes(b"old")
    killed = run(COPY, source, target, "kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert target.read_bytes() == b"old"
    assert checked(COPY, source, target, "no") == "stock s3://bucket/x\n"  # remote files go the way they went
    assert target.read_bytes() == source.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, target.name]


def test_import_has_no_side_effects():
    checked("""
        import sys
        import pretrain.base.checkpoints
        loaded = {"torch", "numpy", "fairseq", "transformers", "torchaudio"} & set(sys.modules)
        assert not loaded, loaded
    """)


def test_missing_fairseq_is_one_line():
    checked("""
        import sys
        from pretrain.base.checkpoints import prepare_fairseq
        from pretrain.base.errors import UserError
        sys.modules["fairseq"] = None
        try:
            prepare_fairseq()
        except UserError as error:
            assert "pip install ve-fairseq==0.12.3" in str(error)
        else:
            raise SystemExit("no error")
    """)


def test_fairseq_that_cannot_import_is_one_line(tmp_path):
    (tmp_path / "fairseq").mkdir()
    (tmp_path / "fairseq/__init__.py").write_text(
        "import dataclasses\nclass Common:\n    __hash__ = None\n"
        "@dataclasses.dataclass\nclass Config:\n    common: Common = Common()\n")
    checked("""
        from pretrain.base.checkpoints import prepare_fairseq
        from pretrain.base.errors import UserError
        try:
            prepare_fairseq()
        except UserError as error:
            assert "mutable default" in str(error) and "pip uninstall fairseq" in str(error)
        else:
            raise SystemExit("no error")
    """, path=tmp_path)


@pytest.fixture
def broken_torchaudio(tmp_path):
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio/helper.py").write_text("")
    (tmp_path / "torchaudio/__init__.py").write_text(
        "from . import helper\nraise OSError('libcudart.so.13: cannot open shared object file')\n")
    return tmp_path


def test_transformers_beside_a_broken_torchaudio(broken_torchaudio):
    pytest.importorskip("transformers")
    out = checked("""
        import sys
        from transformers.utils import is_torchaudio_available
        assert is_torchaudio_available()  # remembered, and wrong
        from pretrain.base.checkpoints import guard_torchaudio
        assert guard_torchaudio() and not guard_torchaudio()
        assert not any(name.startswith("torchaudio.") for name in sys.modules)
        assert not is_torchaudio_available()
        import torch
        from transformers import ElectraConfig, ElectraForPreTraining, RobertaConfig, RobertaForMaskedLM
        tiny = dict(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
        ids = torch.tensor([[0, 5, 2]])
        print(tuple(RobertaForMaskedLM(RobertaConfig(**tiny))(ids).logits.shape),
              tuple(ElectraForPreTraining(ElectraConfig(embedding_size=8, **tiny))(ids).logits.shape))
    """, path=broken_torchaudio)
    assert out.split("\n")[-2] == "(1, 3, 20) (1, 3)"


def test_guard_leaves_a_working_torchaudio(tmp_path):
    (tmp_path / "torchaudio.py").write_text("answer = 42\n")
    checked("""
        from pretrain.base.checkpoints import guard_torchaudio
        assert not guard_torchaudio()
        import torchaudio
        assert torchaudio.answer == 42
    """, path=tmp_path)
