"""Times training steps of our model against stock fairseq's RoBERTa and Hugging Face's RobertaForMaskedLM, in one run.

    python -m recipes.bench.steps [--threads 1] [--steps 15] [--layers 4 --width 256 …]

Two kinds of step: `pretrain` trains everything; `adapt` trains the token embedding and the output bias while the body
is frozen (`requires_grad=False` on every side). All sides have the same shape, dropout, precision (fp32), threads and
token ids (random), hide the same number of tokens, and run in turns (ours, fairseq, Hugging Face, ours, …) after a
warm-up.

Counted on every side: forward, loss, backward, optimizer step, clearing the gradients. Ours also counts the masking,
which is part of the step; the other two get finished masks, because their data loaders make them. Each side does what
its own training does: fairseq projects the hidden positions only and steps `fairseq.optim.adam`; Hugging Face computes
the LM head at every position (`labels` of -100 elsewhere) and steps torch's fused AdamW, its Trainer's default.
Whatever surrounds the step (loader, clipping, logging) is left out; ours and fairseq's share the same trainer.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from pretrain.base.environment import installed
from pretrain.base.errors import UserError, unknown

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pretrain.encoder import EncoderConfig
    from pretrain.masking import Masked

SIDES = ("ours", "fairseq", "huggingface")
KINDS = ("pretrain", "adapt")
GOALS = {"pretrain": {"fairseq": 1.3, "huggingface": 2.5}, "adapt": {"fairseq": 1.4, "huggingface": 2.5}}
"""How many times as fast as the others our step is meant to be on a CPU."""

LR, BETAS, EPS, DECAY = 1e-4, (0.9, 0.98), 1e-6, 0.01
_BATCHES = 4


@dataclass(frozen=True)
class Sizes:
    """What is timed; one block is `block` tokens, a step takes `batch` of them."""

    layers: int = 4
    width: int = 256
    heads: int = 4
    ffn: int = 1024
    vocabulary: int = 16_000
    block: int = 128
    batch: int = 16
    dropout: float = 0.1
    share: float = 0.15

    def encoder(self) -> EncoderConfig:
        from pretrain.encoder import EncoderConfig

        return EncoderConfig(layers=self.layers, width=self.width, heads=self.heads, ffn=self.ffn,
                             embedding_width=self.width, max_positions=self.block)


Step = Callable[[int], float]
"""Runs one whole training step on batch number `n`; returns its loss, so that nothing is left unfinished."""


def _batches(sizes: Sizes, device: str) -> list[tuple[Tensor, Masked]]:
    """Token ids [batch, block] and a masked copy of each."""
    import torch

    from pretrain.masking import generator_for, mask_tokens

    found = []
    for number in range(_BATCHES):
        generator = generator_for(torch.device("cpu"), number)
        tokens = torch.randint(4, sizes.vocabulary - 1, (sizes.batch, sizes.block), generator=generator)
        tokens[:, 0] = 0
        tokens = tokens.to(device)
        masked = mask_tokens(tokens, sizes.vocabulary - 1, generator_for(tokens.device, number), sizes.share)
        found.append((tokens, masked))
    return found


def _freeze(model: nn.Module, trained: set[str]) -> None:
    """Leaves only the parameters named `trained` to be learnt."""
    names = {name for name, _ in model.named_parameters()}
    assert trained <= names, trained - names
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)


def _ours(sizes: Sizes, kind: str, device: str) -> Step:
    from pretrain.masked_lm import VOCABULARY_INDEXED
    from pretrain.masking import generator_for, mask_tokens
    from pretrain.trainer.masked_lm_loss import ModularMaskedLM
    from pretrain.trainer.optimizer import ModularAdamW
    from pretrain.trainer.roberta import FairseqMaskedLM

    cfg = argparse.Namespace(precision="fp32", dropout=sizes.dropout, attention_dropout=sizes.dropout,
                             activation_dropout=0.0, compile=False)
    model = FairseqMaskedLM(sizes.encoder(), sizes.vocabulary, cfg).to(device)
    if kind == "adapt":
        _freeze(model, {*VOCABULARY_INDEXED})
    optimizer = ModularAdamW(
        argparse.Namespace(adam_betas=str(BETAS), adam_eps=EPS, weight_decay=DECAY, decay_all=False,
                           forget_scope="embedding", precision="fp32", lr=[LR]),
        [parameter for parameter in model.parameters() if parameter.requires_grad])
    batches = _batches(sizes, device)

    class Task:
        def mask(self, sample: dict[str, Any], training: bool) -> Masked:
            tokens = sample["tokens"]
            generator = generator_for(tokens.device, 1, sample["key"])
            return mask_tokens(tokens, sizes.vocabulary - 1, generator, sizes.share)

        def segments(self, sample: dict[str, Any], training: bool) -> None:
            """One segment."""

    criterion = ModularMaskedLM(Task())
    model.train()

    def step(number: int) -> float:
        tokens = batches[number % _BATCHES][0]
        sample = {"tokens": tokens, "key": number, "full": True, "ntokens": tokens.numel(), "nsentences": len(tokens)}
        loss, count, _ = criterion(model, sample)
        (loss / count).backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach() / count)

    return step


def _fairseq(sizes: Sizes, kind: str, device: str) -> Step:
    from fairseq.criterions.masked_lm import MaskedLmLoss
    from fairseq.data import Dictionary
    from fairseq.models.roberta import RobertaModel
    from fairseq.optim.adam import FairseqAdam

    from pretrain.base.vocabulary import PAD

    dictionary = Dictionary()
    for number in range(sizes.vocabulary - 5):
        dictionary.add_symbol(f"piece{number}")
    dictionary.add_symbol("<mask>")
    task = argparse.Namespace(source_dictionary=dictionary, target_dictionary=dictionary)
    args = argparse.Namespace(
        encoder_layers=sizes.layers, encoder_embed_dim=sizes.width, encoder_ffn_embed_dim=sizes.ffn,
        encoder_attention_heads=sizes.heads, max_positions=sizes.block, dropout=sizes.dropout,
        attention_dropout=sizes.dropout)
    model = RobertaModel.build_model(args, task).to(device)
    if kind == "adapt":
        _freeze(model, {"encoder.sentence_encoder.embed_tokens.weight", "encoder.lm_head.bias"})
    optimizer = FairseqAdam(
        argparse.Namespace(adam_betas=str(BETAS), adam_eps=EPS, weight_decay=DECAY, lr=[LR], fp16_adam_stats=False),
        [parameter for parameter in model.parameters() if parameter.requires_grad])
    criterion = MaskedLmLoss(argparse.Namespace(tpu=False), task)
    samples = []
    for tokens, masked in _batches(sizes, device):
        target = tokens.new_full((tokens.numel(),), PAD)
        target[masked.positions] = masked.targets
        samples.append({"net_input": {"src_tokens": masked.tokens}, "target": target.view_as(tokens),
                        "ntokens": tokens.numel(), "nsentences": len(tokens)})
    model.train()

    def step(number: int) -> float:
        loss, count, _ = criterion(model, samples[number % _BATCHES])
        (loss / count).backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach() / count)

    return step


def _huggingface(sizes: Sizes, kind: str, device: str) -> Step:
    from pretrain.base.checkpoints import guard_torchaudio

    guard_torchaudio()
    import torch
    from transformers import RobertaConfig, RobertaForMaskedLM

    from pretrain.base.vocabulary import PAD

    model: Any = RobertaForMaskedLM(RobertaConfig(
        vocab_size=sizes.vocabulary, hidden_size=sizes.width, num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads, intermediate_size=sizes.ffn, max_position_embeddings=sizes.block + 2,
        type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=PAD, hidden_dropout_prob=sizes.dropout,
        attention_probs_dropout_prob=sizes.dropout))
    model.to(device)
    if kind == "adapt":
        _freeze(model, {"roberta.embeddings.word_embeddings.weight", "lm_head.bias"})
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [{"params": [p for p in trained if p.ndim > 1], "weight_decay": DECAY},
              {"params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=BETAS, eps=EPS, fused=True)
    samples = []
    for tokens, masked in _batches(sizes, device):
        labels = tokens.new_full((tokens.numel(),), -100)
        labels[masked.positions] = masked.targets
        samples.append({"input_ids": masked.tokens, "attention_mask": torch.ones_like(tokens),
                        "labels": labels.view_as(tokens)})
    model.train()

    def step(number: int) -> float:
        loss = model(**samples[number % _BATCHES]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach())

    return step


_BUILDERS = {"ours": _ours, "fairseq": _fairseq, "huggingface": _huggingface}


def _installed(side: str) -> bool:
    from importlib.util import find_spec

    return side == "ours" or find_spec({"huggingface": "transformers"}.get(side, side)) is not None


def _time(step: Step, number: int, device: str) -> tuple[float, float]:
    """Seconds of wall clock and of processor time that one step takes."""
    import torch

    wall, busy = time.perf_counter(), time.process_time()
    step(number)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - busy


def bench(sizes: Sizes | None = None, kinds: Sequence[str] = KINDS, sides: Sequence[str] = SIDES, threads: int = 0,
          warmup: int = 3, steps: int = 15, device: str = "") -> dict[str, Any]:
    """Runs the comparison.

    Args:
        sides: those that are not installed are left out.
        threads: CPU threads for all; 0: as torch has it.
        warmup: steps of each side before the clock starts; `steps`: timed ones, in turns.
        device: `cpu` or `cuda`; cuda where there is one by default.

    Returns:
        Settings, versions, and for each kind and side the median milliseconds of a step (wall clock, and processor
        time, which a busy machine distorts less), the quartiles, a loss, and how many times as fast ours is.

    Raises:
        UserError: fairseq, which our training runs in, is not installed; or an unknown kind or side.
    """
    from pretrain.base.checkpoints import prepare_fairseq, quiet_fairseq

    for given, known, what in ((kinds, KINDS, "kind of step"), (sides, SIDES, "side")):
        for name in given:
            if name not in known:
                raise unknown(what, name, known)
    if steps < 1 or warmup < 0:
        raise UserError(f"--steps {steps} --warmup {warmup}: expected at least 1 and 0")
    quiet_fairseq()
    prepare_fairseq()
    import torch

    sizes = sizes or Sizes()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    chosen = [side for side in SIDES if side in sides and _installed(side)]
    result: dict[str, Any] = {
        "sizes": asdict(sizes), "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(), "warmup": warmup, "steps": steps, "precision": "fp32",
        "versions": installed(("torch", "ve-fairseq", "fairseq", "transformers")),
        "counted": "forward, loss, backward, optimizer step; masking on our side only"}
    try:
        for kind in kinds:
            result[kind] = _compare(sizes, kind, chosen, warmup, steps, device)
    finally:
        torch.set_num_threads(before)
    return result


def _compare(sizes: Sizes, kind: str, chosen: list[str], warmup: int, steps: int, device: str) -> dict[str, Any]:
    import torch

    runners: dict[str, Step] = {}
    for side in chosen:
        torch.manual_seed(1)
        runners[side] = _BUILDERS[side](sizes, kind, device)
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in chosen}
    for number in range(warmup + steps):
        for side in chosen:
            taken = _time(runners[side], number, device)
            if number >= warmup:
                times[side].append(taken)
    losses = {side: runners[side](0) for side in chosen}
    found: dict[str, Any] = {}
    for side in chosen:
        wall = sorted(1000 * taken[0] for taken in times[side])
        found[side] = {
            "ms": round(median(wall), 2), "cpu_ms": round(1000 * median(taken[1] for taken in times[side]), 2),
            "quartiles_ms": [round(wall[len(wall) // 4], 2), round(wall[3 * len(wall) // 4], 2)],
            "loss": round(losses[side], 3)}
    for side in chosen:
        if side != "ours" and "ours" in found:
            goal = GOALS[kind][side]
            ratio = found[side]["ms"] / found["ours"]["ms"]
            found[side] |= {"ratio": round(ratio, 2), "goal": goal, "met": ratio >= goal,
                            "cpu_ratio": round(found[side]["cpu_ms"] / max(found["ours"]["cpu_ms"], 1e-9), 2)}
    return found


def table(result: dict[str, Any]) -> str:
    """The result as text, a line for each kind and side."""
    sizes = Sizes(**result["sizes"])
    lines = [f"{sizes.layers} layers × {sizes.width}, ffn {sizes.ffn}, vocabulary {sizes.vocabulary:,}, "
             f"{sizes.batch} × {sizes.block} tokens, fp32, {result['device']}, {result['threads']} threads, "
             f"median of {result['steps']} steps",
             f"counted: {result['counted']}",
             f"{'step':9} {'side':12} {'ms':>9} {'cpu ms':>9} {'quartiles':>17} {'ours is faster':>15} {'goal':>6}"]
    for kind in KINDS:
        for side, found in result.get(kind, {}).items():
            quartiles = "{:.1f} – {:.1f}".format(*found["quartiles_ms"])
            ratio = f"{found['ratio']:.2f} ×" if "ratio" in found else ""
            goal = f"{found['goal']} ×{'' if found['met'] else ' !'}" if "goal" in found else ""
            lines.append(f"{kind:9} {side:12} {found['ms']:9.1f} {found['cpu_ms']:9.1f} {quartiles:>17} {ratio:>15} "
                         f"{goal:>6}")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `relexify bench steps`."""
    for name, default in asdict(Sizes()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"(default {default})")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: as torch has it)")
    parser.add_argument("--warmup", type=int, default=3, help="untimed steps of each side (default 3)")
    parser.add_argument("--steps", type=int, default=15, help="timed steps of each side (default 15)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="", help="(default: cuda where there is one)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="(default: both)")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="(default: all installed)")


def run(args: argparse.Namespace) -> int:
    """Prints the table and a line of JSON; returns the exit code."""
    sizes = Sizes(**{name: getattr(args, name) for name in asdict(Sizes())})
    result = bench(sizes, args.kinds, args.sides, args.threads, args.warmup, args.steps, args.device)
    print(table(result))
    print(json.dumps(result))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The benchmark's own command line."""
    parser = argparse.ArgumentParser(prog="python -m recipes.bench.steps", description=(__doc__ or "").split("\n")[0])
    add_arguments(parser)
    try:
        return run(parser.parse_args(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
