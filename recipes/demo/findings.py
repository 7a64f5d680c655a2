"""What a demo found: scores and curves collected from the artefacts, a picture, and a page of plain words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.base.files import read_json

if TYPE_CHECKING:
    from recipes.demo.settings import DemoSettings

COLOURS = {"standard": "#0072B2", "forgetting": "#D55E00"}
"""Two colours of Okabe and Ito's palette: told apart by colour-blind readers too."""
GRAMMAR = {"qab": "same word order", "qac": "adjective after noun", "qad": "SOV, postpositions", "qae": "VSO, noun first",
           "qaf": "free order, cases"}


def collect(root: Path, settings: DemoSettings) -> dict[str, Any]:
    """Everything the page says, from the artefacts of a finished demo."""
    from recipes.demo.settings import ARMS

    arms: dict[str, Any] = {}
    for arm in ARMS:
        folder = root / arm
        scores = {}
        for step in (*settings.steps, settings.adapt_updates):
            cells = read_json(folder / f"scores-{step:06d}" / "results.json")
            scores[str(step)] = {cell["language"]: {k: cell[k] for k in ("score", "standard_error", "n", "split")}
                                 for cell in cells}
        chance = cells[0]["chance"]
        arms[arm] = {
            "scores": scores,
            "curves": {code: _language_model(read_json(folder / code / "curves.json")) for code in settings.languages},
            "pretraining": read_json(folder / "en" / "curves.json"),
            "dev": read_json(folder / "nli" / "body.json")["task"]["dev"],
            "questions": {cell["language"]: {k: cell[k] for k in ("score", "standard_error", "n", "split", "exact_match", "f1")}
                          for cell in read_json(folder / "scores-qa" / "results.json")},
        }
    return {"seed": settings.seed, "backbone": settings.backbone, "chance": chance, "arms": arms}


def _language_model(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The curve with the masked language model's loss as `loss`: that of a pair's objective holds the discriminator's too."""
    return [{**point, "loss": point.get("mlm_loss", point["loss"])} for point in curve]


def picture(results: dict[str, Any], path: Path) -> None:
    """Held-out loss and zero-shot accuracy over adaptation updates, a column per language (PNG)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    languages = list(results["arms"]["standard"]["curves"])
    figure, axes = pyplot.subplots(2, len(languages), figsize=(3.4 * len(languages), 5.6), sharex=True, sharey="row",
                                   squeeze=False, layout="constrained")
    for column, code in enumerate(languages):
        top, bottom = axes[0][column], axes[1][column]
        for arm, found in results["arms"].items():
            curve = found["curves"][code]
            top.plot([p["update"] for p in curve], [p["loss"] for p in curve], color=COLOURS[arm], label=arm)
            steps = sorted(map(int, found["scores"]))
            cells = [found["scores"][str(step)][code] for step in steps]
            bottom.errorbar(steps, [c["score"] for c in cells], yerr=[1.96 * c["standard_error"] for c in cells],
                            color=COLOURS[arm], marker="o", capsize=3, label=arm)
        bottom.axhline(results["chance"], color="#777777", linestyle=":", label="chance")
        top.set_title(f"{code}: {GRAMMAR.get(code, '')}", fontsize=10)
        bottom.set_xlabel("adaptation updates")
    axes[0][0].set_ylabel("held-out loss (bits)")
    axes[1][0].set_ylabel("zero-shot NLI accuracy")
    axes[1][0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _cell(cell: dict[str, Any]) -> str:
    return f"{cell['score']:.3f} ± {cell['standard_error']:.3f}"


def score_table(results: dict[str, Any], step: int) -> str:
    """Markdown table of the zero-shot scores after `step` adaptation updates."""
    return _table(results["arms"], {arm: found["scores"][str(step)] for arm, found in results["arms"].items()})


def question_table(results: dict[str, Any]) -> str:
    """Markdown table of zero-shot F1 in question answering, as shares."""
    return _table(results["arms"], {arm: found["questions"] for arm, found in results["arms"].items()})


def _table(arms: dict[str, Any], scores: dict[str, dict[str, Any]]) -> str:
    lines = ["| language | grammar | " + " | ".join(arms) + " | difference |", "|---|---|" + "---|" * (len(arms) + 1)]
    for code in scores["standard"]:
        one, two = (scores[arm][code] for arm in ("standard", "forgetting"))
        spread = math.hypot(one["standard_error"], two["standard_error"])
        source = code not in arms["standard"]["curves"]
        lines.append(f"| {code} | {'base language, not adapted' if source else GRAMMAR.get(code, '')} | {_cell(one)} | "
                     f"{_cell(two)} | {two['score'] - one['score']:+.3f} ± {spread:.3f} |")
    return "\n".join(lines)


def write_findings(results: dict[str, Any], settings: DemoSettings) -> str:
    """The page: tables and what can, and cannot, be read from them."""
    final, first = settings.adapt_updates, min(settings.steps or (settings.adapt_updates,))
    arms = results["arms"]
    losses = {arm: [min(p["loss"] for p in found["curves"][code]) for code in settings.languages]
              for arm, found in arms.items()}
    n = next(iter(arms["standard"]["scores"][str(final)].values()))["n"]
    parts = [
        f"# The miniature world, seed {settings.seed}" + (", ELECTRA" if settings.backbone == "electra" else ""),
        "",
        f"Zero-shot NLI accuracy on the test split (n = {n:,} a language, three-way, chance {results['chance']:.3f}; "
        "± is one standard error, over examples only). Both bodies were fine-tuned on the base language; no labelled example "
        "of another language was seen.",
        "",
        f"After {final} adaptation updates:",
        "",
        score_table(results, final),
        "",
    ]
    if first != final:
        parts += [f"After {first} adaptation updates:", "", score_table(results, first), ""]
    asked = next(iter(arms["standard"]["questions"].values()))["n"]
    parts += [
        f"Question answering: zero-shot F1 on the test split (n = {asked:,} a language) after {final} adaptation updates:",
        "",
        question_table(results),
        "",
        "Held-out loss of the new embeddings (bits per hidden token, mean over languages): "
        + ", ".join(f"{arm} {sum(values) / len(values):.3f}" for arm, values in losses.items()) + ".",
        "",
        *_reading(results, settings),
        "",
    ]
    return "\n".join(parts)


def _reading(results: dict[str, Any], settings: DemoSettings) -> list[str]:
    """Sentences that follow from the numbers, with two standard errors as the bar."""
    arms, chance = results["arms"], results["chance"]
    final, first = str(settings.adapt_updates), str(min(settings.steps or (settings.adapt_updates,)))
    sentences = []
    for arm, found in arms.items():
        cells = {code: found["scores"][final][code] for code in settings.languages}
        above = [code for code, cell in cells.items() if cell["score"] - chance > 2 * cell["standard_error"]]
        sentences.append(f"- {arm}: {len(above)} of {len(cells)} new languages are above chance by more than two standard "
                         f"errors" + (f" ({', '.join(above)})." if above else "."))
    for step in dict.fromkeys((first, final)):
        pairs = [(arms["standard"]["scores"][step][c], arms["forgetting"]["scores"][step][c]) for c in settings.languages]
        gain = sum(two["score"] - one["score"] for one, two in pairs) / len(pairs)
        spread = math.sqrt(sum(one["standard_error"] ** 2 + two["standard_error"] ** 2 for one, two in pairs)) / len(pairs)
        verdict = ("forgetting is ahead" if gain > 2 * spread else "forgetting is behind" if gain < -2 * spread
                   else "no difference beyond two standard errors")
        sentences.append(f"- After {step} updates the mean difference (forgetting − standard) is {gain:+.3f} ± {spread:.3f}: "
                         f"{verdict}.")
    sentences.append("- This is one seed: the standard errors know nothing of the spread between bodies. "
                     "docs/miniature-world.md has the runs over several seeds.")
    return sentences
