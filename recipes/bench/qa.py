"""Times the evaluation of question answering against the usual padded loop: same model, same questions, same batch budget.

    python -m recipes.bench.qa [XQUAD] [--questions 200] [--layers 4 --width 192] [--threads 1]

Both go from questions in memory to answer texts. The padded loop is what BERT's evaluation script made usual: every
question tokenizes its context again, features are made token by token, each window is padded to the full length, and
a search over the 20 best starts and ends runs in Python. It is run with our encoder and, where `transformers` is
installed, with Hugging Face's RoBERTa holding the same weights. XQUAD is a folder with `xquad.CODE.json`; without it, texts of
invented words are asked about. Tokenizers are trained on the contexts; the model is drawn at random, so that answers
are spread over all windows, the worst case. The shares of equal answers are printed: the loops must agree.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from adapt.text.tokenizer import Tokenizer
    from tasks.heads.model import TaskModel
    from tasks.qa.data import Question
    from tasks.qa.features import WindowSettings

HEAD = "squad"
BEAM, LONGEST = 20, 30


def invented(count: int, seed: int) -> list[Question]:
    """Questions about paragraphs of invented words, five a paragraph, as long as XQuAD's (80 to 250 words)."""
    import random

    from tasks.qa.data import Answer, Question

    draw = random.Random(seed)
    words = ["".join(draw.choice("bdfgklmnprst") + draw.choice("aeiou") for _ in range(draw.randint(1, 3))) for _ in range(4000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    made: list[Question] = []
    while len(made) < count:
        context = " ".join(draw.choices(words, weights, k=draw.randint(80, 250)))
        for _ in range(5):
            start = context.index(" ", draw.randrange(len(context) // 2)) + 1
            text = context[start:].split(" ", 1)[0]
            made.append(Question(str(len(made)), " ".join(draw.choices(words, weights, k=11)), context, (Answer(text, start),)))
    return made[:count]


def hugging_face(model: TaskModel) -> Callable[[Tensor], Tensor]:
    """Token ids [B, T] -> start and end logits [B, T, 2] by Hugging Face's RoBERTa with the weights of `model`."""
    from pretrain.base.checkpoints import guard_torchaudio

    guard_torchaudio()
    import torch
    from transformers import RobertaConfig, RobertaForQuestionAnswering

    from adapt.formats.names import to_huggingface
    from pretrain.base.vocabulary import PAD

    config = model.encoder.config
    other: Any = RobertaForQuestionAnswering(RobertaConfig(
        vocab_size=model.encoder.embed_tokens.num_embeddings, hidden_size=config.width, num_hidden_layers=config.layers,
        num_attention_heads=config.heads, intermediate_size=config.ffn, max_position_embeddings=config.max_positions + PAD + 1,
        type_vocab_size=1, layer_norm_eps=config.norm_eps, pad_token_id=PAD))
    body = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("heads.")}
    state = {name: tensor for name, tensor in to_huggingface(body).items() if name.startswith("roberta.")}
    own = {f"qa_outputs.{name}": tensor for name, tensor in model.heads[HEAD].out_proj.state_dict().items()}  # type: ignore[union-attr, operator]
    other.load_state_dict({**state, **own}, strict=True)
    other.eval().to(model.encoder.embed_tokens.weight.device)

    def logits(tokens_BT: Tensor) -> Tensor:
        found = other(input_ids=tokens_BT, attention_mask=tokens_BT.ne(PAD).long())
        return torch.stack([found.start_logits, found.end_logits], -1)

    return logits


def padded_loop(logits_of: Callable[[Tensor], Tensor], tokenizer: Tokenizer, questions: Sequence[Question],
                settings: WindowSettings, max_tokens: int, device: str) -> tuple[dict[str, str], int]:
    """The usual loop, written plainly. Returns the answers and the number of windows."""
    import torch

    from pretrain.base.vocabulary import BOS, EOS, PAD

    features: list[dict[str, Any]] = []
    for number, item in enumerate(questions):
        asked = tokenizer.encode(item.question)[: settings.max_question]
        ids, places = tokenizer.encode_with_offsets(item.context)
        room = settings.max_length - 4 - len(asked)
        starts, start = [], 0
        while True:
            starts.append(start)
            if start + room >= len(ids):
                break
            start += settings.stride
        for window, start in enumerate(starts):
            part = ids[start:start + room]
            tokens = [BOS, *asked, EOS, EOS, *part, EOS]
            most = {}
            for token in range(len(part)):
                best, best_window = -1.0, 0
                for other, begin in enumerate(starts):
                    end = min(begin + room, len(ids)) - 1
                    if begin <= start + token <= end:
                        shown = min(start + token - begin, end - start - token) + 0.01 * (end - begin + 1)
                        if shown > best:
                            best, best_window = shown, other
                most[len(asked) + 3 + token] = best_window == window
            mask = [0] * len(tokens) + [0] * (settings.max_length - len(tokens))
            for column in (0, *most):
                mask[column] = 1
            features.append({"tokens": tokens + [PAD] * (settings.max_length - len(tokens)), "mask": mask, "most": most,
                             "question": number, "shift": start - len(asked) - 3, "places": places})
    size = max(1, max_tokens // settings.max_length)
    found: dict[int, tuple[float, str]] = {}
    with torch.inference_mode():
        for low in range(0, len(features), size):
            batch = features[low:low + size]
            tokens_BT = torch.tensor([feature["tokens"] for feature in batch])
            logits = logits_of(tokens_BT.to(device)).float()
            hidden = torch.tensor([feature["mask"] for feature in batch], device=logits.device).eq(0)
            starts_BT, ends_BT = (logits[..., side].masked_fill(hidden, -1e9).log_softmax(-1).tolist() for side in (0, 1))
            for feature, start_T, end_T in zip(batch, starts_BT, ends_BT, strict=True):
                order = sorted(range(len(start_T)), key=start_T.__getitem__, reverse=True)[:BEAM]
                back = sorted(range(len(end_T)), key=end_T.__getitem__, reverse=True)[:BEAM]
                for first in order:
                    for last in back:
                        if not feature["most"].get(first, False) or last not in feature["most"]:
                            continue
                        if last < first or last - first + 1 > LONGEST:
                            continue
                        total = start_T[first] + end_T[last]
                        number = feature["question"]
                        if number not in found or total > found[number][0]:
                            begin = feature["places"][first + feature["shift"]][0]
                            end = feature["places"][last + feature["shift"]][1]
                            found[number] = (total, questions[number].context[begin:end].strip())
    return {item.id: found[n][1] if n in found else "" for n, item in enumerate(questions)}, len(features)


def languages_of(folder: str | None, count: int) -> dict[str, list[Question]]:
    """Questions by language: XQuAD's, or those of two invented languages."""
    if folder is None:
        return {"x-one": invented(count, 1), "x-two": invented(count, 2)}
    from tasks.qa.xquad import XQUAD

    codes = XQUAD.available(folder, "test")
    if not codes:
        raise UserError(f"{folder}: no xquad.CODE.json there; pass the folder of XQuAD's files, or nothing for invented texts")
    return {code: XQUAD.read(folder, "test", code).questions[:count] for code in codes}


def now() -> tuple[float, float]:
    """Wall clock and processor time, in seconds."""
    return time.perf_counter(), time.process_time()


def since(begin: tuple[float, float], before: tuple[float, float]) -> tuple[float, float]:
    """`before` and what has passed since `begin`."""
    end = now()
    return before[0] + end[0] - begin[0], before[1] + end[1] - begin[1]


def bench(folder: str | None, questions: int, layers: int, width: int, vocab_size: int, max_tokens: int,
          repeats: int, device: str = "cpu") -> dict[str, Any]:
    """Runs the comparison; times are the best of `repeats`, taken in turns."""
    import torch

    from adapt.text.tokenizer import Tokenizer, train_tokenizer
    from pretrain.encoder import EncoderConfig
    from tasks.heads.model import TaskModel
    from tasks.qa.family import answer
    from tasks.qa.features import WindowSettings

    asked = languages_of(folder, questions)
    settings = WindowSettings.fit(384)
    config = EncoderConfig(layers=layers, width=width, heads=max(1, width // 64), ffn=4 * width, embedding_width=width,
                           max_positions=384)
    loops = ["padded", *(["hugging_face"] if find_spec("transformers") else [])]
    seconds: dict[str, list[tuple[float, float]]] = {side: [] for side in ("ours", *loops)}
    windows = tokens = total = 0
    equal: dict[str, int] = {}
    prepared: list[tuple[TaskModel, Tokenizer, list[Question]]] = []
    for items in asked.values():
        tokenizer = Tokenizer(train_tokenizer(list(dict.fromkeys(item.context for item in items)), vocab_size))
        torch.manual_seed(1)
        model = TaskModel(config, len(tokenizer.vocabulary))
        model.add_head(HEAD, "span", 0)
        prepared.append((model.eval().to(device), tokenizer, items))
    for turn in range(repeats):
        times = dict.fromkeys(seconds, (0.0, 0.0))
        windows = tokens = total = 0
        equal = dict.fromkeys(loops, 0)
        for model, tokenizer, items in prepared:
            begin = now()
            predictions, made = answer(model, HEAD, tokenizer, items, settings, max_tokens=max_tokens, limit=LONGEST)
            times["ours"] = since(begin, times["ours"])
            for side in loops:
                logits_of = hugging_face(model) if side == "hugging_face" else \
                    lambda ids, model=model: model.heads[HEAD].out_proj(model.encoder(ids))
                begin = now()
                texts, count = padded_loop(logits_of, tokenizer, items, settings, max_tokens, device)
                times[side] = since(begin, times[side])
                if count != len(made):
                    raise RuntimeError(f"the loops made {len(made)} and {count} windows of the same questions")
                equal[side] += sum(predictions[key].best == text for key, text in texts.items())
            windows, tokens, total = windows + len(made), tokens + int(made.sizes.sum()), total + len(items)
        print(f"turn {turn + 1}: " + ", ".join(f"{side} {wall:.1f} s" for side, (wall, _) in times.items()), file=sys.stderr,
              flush=True)
        for side, spent in times.items():
            seconds[side].append(spent)
    best, busy = ({side: min(pair[which] for pair in spent) for side, spent in seconds.items()} for which in (0, 1))
    return {"data": folder or "invented", "languages": list(asked), "questions": total, "windows": windows,
            "tokens_per_window": round(tokens / windows, 1), "layers": layers, "width": width, "max_tokens": max_tokens,
            "device": torch.cuda.get_device_name() if device == "cuda" else device,
            "threads": torch.get_num_threads(), "repeats": repeats,
            "windows_per_s": {side: round(windows / spent, 1) for side, spent in best.items()},
            "ratio": {side: round(best[side] / best["ours"], 2) for side in loops},
            # processor time, which a busy machine distorts less
            "cpu_ratio": {side: round(busy[side] / busy["ours"], 2) for side in loops},
            "equal_answers": {side: round(count / total, 4) for side, count in equal.items()}}


def main(arguments: list[str] | None = None) -> int:
    """The benchmark's command line."""
    parser = argparse.ArgumentParser(prog="python -m recipes.bench.qa", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", nargs="?", help="folder with XQuAD's files (default: invented texts)")
    parser.add_argument("--questions", type=int, default=1190, help="questions a language, at most (default 1190: all)")
    parser.add_argument("--layers", type=int, default=4, help="of the model (default 4)")
    parser.add_argument("--width", type=int, default=192, help="of the model (default 192)")
    parser.add_argument("--vocab-size", type=int, default=8000, help="of the tokenizers (default 8000)")
    parser.add_argument("--max-tokens", type=int, default=8192, help="padded tokens of a batch, for both (default 8192)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default auto)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: torch's choice")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each side, the best counts (default 2)")
    args = parser.parse_args(arguments)
    if args.threads > 0:
        import torch

        torch.set_num_threads(args.threads)
    try:
        from tasks.predict import choose_device

        result = bench(args.data and str(Path(args.data)), args.questions, args.layers, args.width, args.vocab_size,
                       args.max_tokens, args.repeats, str(choose_device(args.device)))
    except UserError as error:
        print(f"relexify: error: {error}", file=sys.stderr)
        return error.exit_code
    speed = result["windows_per_s"]
    print(f"{result['windows']:,} windows of {result['tokens_per_window']} tokens on average: {speed['ours']} windows/s")
    for side, ratio in result["ratio"].items():
        print(f"padded loop, {'our encoder' if side == 'padded' else 'Hugging Face'}: {speed[side]} windows/s, ours is {ratio} "
              f"times as fast (processor time: {result['cpu_ratio'][side]}); answers equal: {result['equal_answers'][side]:.2%}")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
