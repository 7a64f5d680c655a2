"""Running `fairseq-train` lines inside the test process (one import of fairseq for all of them)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PRETRAIN = {
    "task": "modular_mlm", "arch": "modular_roberta_tiny", "criterion": "modular_masked_lm",
    "encoder-layers": 2, "encoder-embed-dim": 16, "encoder-ffn-embed-dim": 32, "encoder-attention-heads": 2,
    "tokens-per-sample": 32, "max-positions": 32, "batch-size": 4, "lr": 3e-3, "warmup-updates": 4, "max-update": 30,
    "optimizer": "modular_adamw", "lr-scheduler": "modular_polynomial", "clip-norm": 0.5, "seed": 5,
}
QUIET = {"num-workers": 0, "log-format": "none", "no-epoch-checkpoints": True, "validate-interval": 10**9,
         "save-interval": 10**9, "cpu": True}


def words(options: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for key, value in options.items():
        if value is None or value is False:
            continue
        found.append("--" + key)
        if value is not True:
            found.append(str(value))
    return found


def train(data: Path, save_dir: Path, user_dir: str = "pretrain", base: dict[str, Any] | None = None,
          trainer: Any = None, **options: Any) -> Path:
    """Trains with the options of `base` (default PRETRAIN) and `options`, and returns `save_dir`."""
    import importlib

    import fairseq_cli.train as cli
    from fairseq import checkpoint_utils
    from fairseq import options as fairseq_options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    importlib.import_module(f"{user_dir}.trainer.plugin")
    for function, names in ((checkpoint_utils.save_checkpoint, ("best",)), (cli.should_stop_early, ("best", "num_runs"))):
        for name in names:  # fairseq keeps these on its functions, for the life of the process
            if hasattr(function, name):
                delattr(function, name)
    changed = {key.replace("_", "-"): value for key, value in options.items()}
    argv = [str(data), "--save-dir", str(save_dir), *words({**QUIET, **(PRETRAIN if base is None else base), **changed})]
    args = fairseq_options.parse_args_and_arch(fairseq_options.get_training_parser(), argv)
    cli.main(convert_namespace_to_omegaconf(args))
    return save_dir


def state(save_dir: Path, name: str = "checkpoint_last.pt") -> dict[str, Any]:
    """The content of a checkpoint."""
    from pretrain.base.checkpoints import load_checkpoint

    return load_checkpoint(save_dir / name)
