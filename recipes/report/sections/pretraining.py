"""Pre-training in a report: held-out and training loss with the episodes of forgetting, learning rates, what a reset costs."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Any

from pretrain.forgetting import Forgetting
from recipes.report.page.blocks import NOTHING, Block, Figure, Line, Panel, Paragraph, Table, Text, Value
from recipes.report.results.arms import sort_arms
from recipes.report.results.records import Artefact, Collected
from recipes.report.sections.curves import loss_panel

MOST_EPISODES = 25
"""Episodes a body that the table shows; of more, evenly spaced ones."""


def _by_arm(found: Collected, points: Callable[[Artefact], Sequence[Any]]) -> dict[str, list[Artefact]]:
    """The bodies of each arm that have such points."""
    bodies: dict[str, list[Artefact]] = {}
    for one in found.artefacts:
        if one.kind == "body" and points(one):
            bodies.setdefault(found.arms.get(one.fingerprint, one.shown), []).append(one)
    return bodies


def pretraining(found: Collected, styles: dict[str, int]) -> list[Block]:
    """Held-out loss of the bodies along pre-training, with a vertical line where an episode begins."""
    bodies = _by_arm(found, lambda body: body.curve)
    if not bodies:
        return [Paragraph("No curve of a pre-training lies below these folders.")]
    panels, rows, told = [], [], []
    for arm in sort_arms(list(bodies)):
        panel = loss_panel(arm, [(arm, body) for body in bodies[arm]], styles)
        panel.marks, text = episodes(bodies[arm][0].made)
        told.append(f"{arm}: {text}.")
        panels.append(panel)
        for body in bodies[arm]:
            per_update = body.made.get("tokens_per_update")
            rows += [[arm, str(body.made.get("seed")), Text(f"{point['update']:,}", point["update"]),
                      Text(f"{point['update'] * per_update:,}", point["update"] * per_update) if per_update else "–",
                      Text(f"{point['loss']:.3f}", point["loss"])] for point in body.curve]
    return [Figure("pretraining", "Held-out loss of the bodies along pre-training", "updates", "held-out loss, bits", panels,
                   Table("Pre-training: every point", ["arm", "seed", "updates", "tokens seen", "bits per hidden token"], rows),
                   {arm: styles[arm] for arm in sort_arms(list(bodies))},
                   note="Vertical lines: where the embedding was reset. " + " ".join(told) + " A loss at an episode's end was "
                        "measured before the reset; between the points nothing was, so the rise after a reset need not show.")]


def episodes(made: dict[str, Any]) -> tuple[list[float], str]:
    """The updates at which a body's embedding was reset (or, in the matched control, an episode began), and that in words."""
    settings = made.get("forgetting")
    total = made.get("updates")
    if not isinstance(settings, dict) or not isinstance(total, int):
        return [], "its record says nothing of forgetting"
    known = {key: settings[key] for key in Forgetting.__dataclass_fields__ if key in settings}
    forgetting = Forgetting(**known)
    if not forgetting.every:
        return [], "never reset"
    at = [float(update) for update in range(forgetting.every, total, forgetting.every) if forgetting.begins_episode(update)]
    if not at:
        return [], "no episode began"
    what = {"none": "episodes begin, nothing is reset,", "rotate": f"another of {forgetting.tables} tables is taken up",
            "permute": f"{forgetting.part} is permuted"}.get(forgetting.reset, f"{forgetting.part} is reset")
    told = f"{what} {len(at)} times, every {forgetting.every:,} updates from {at[0]:,.0f} to {at[-1]:,.0f}"
    return (at if forgetting.every > 1 else []), told  # a line for every update would hide the curve


def training(found: Collected, styles: dict[str, int]) -> list[Block]:
    """Loss and learning rates as logged in training, with a vertical line where an episode begins, and what each reset cost."""
    bodies = _by_arm(found, lambda body: body.training)
    if not bodies:
        return []
    arms = sort_arms(list(bodies))
    losses, rates = [], []
    for arm in arms:
        panel = loss_panel(arm, [(arm, body) for body in bodies[arm]], styles, training=True)
        panel.marks = episodes(bodies[arm][0].made)[0]
        losses.append(panel)
        first = bodies[arm][0].training
        lines = [Line(name, style, [(float(point["update"]), float(point[key]), math.nan, math.nan)
                                    for point in first if key in point])
                 for style, (name, key) in enumerate((("body", "lr"), ("embedding", "lr_embedding")))]
        if any(line.points for line in lines):
            rates.append(Panel(arm, [line for line in lines if line.points], marks=panel.marks))
    told = episode_table(bodies)
    made: list[Block] = [Figure(
        "training-loss", "Training loss along pre-training", "updates", "training loss", losses, told,
        {arm: styles[arm] for arm in arms}, note="As logged: the mean over the updates since the point before. Vertical lines: "
        "where an episode begins. With several seeds: thin lines are seeds, the thick one their mean. For an ELECTRA pair the "
        "loss is the weighted sum of generator's and discriminator's.")]
    if rates:
        made.append(Figure("learning-rate", "Learning rates along pre-training", "updates", "learning rate", rates,
                           rate_table(bodies), {"body": 0, "embedding": 1}, note="Of the first seed. In an episode the "
                           "embedding's rate runs through the whole schedule, the body's does not."))
    return made


def episode_table(bodies: dict[str, list[Artefact]]) -> Table:
    """Each episode of each body: the loss before the reset, the first that was logged after it, the last of the episode, and
    when the loss before was reached again."""
    rows: list[list[Value]] = []
    for arm in sort_arms(list(bodies)):
        for body in bodies[arm]:
            starts = [0.0, *episodes(body.made)[0]]
            step = max(1, math.ceil(len(starts) / MOST_EPISODES))
            rows += [row for number in range(0, len(starts), step) if (row := _episode(arm, body, starts, number))]
    return Table("Episodes of pre-training: the loss as logged"
                 + (f" (at most {MOST_EPISODES} a body, evenly spaced)" if any(
                     len(episodes(body.made)[0]) >= MOST_EPISODES for each in bodies.values() for body in each) else ""),
                 ["arm", "seed", "episode", "from update", "to update", "loss before", "first after", "last",
                  "updates until as low as before"], rows)


def _episode(arm: str, body: Artefact, starts: list[float], number: int) -> list[Value] | None:
    at = [float(point["update"]) for point in body.training]
    first = bisect.bisect_right(at, starts[number])
    last = bisect.bisect_right(at, starts[number + 1]) if number + 1 < len(starts) else len(at)
    if first >= last:
        return None
    inside = body.training[first:last]
    before = body.training[first - 1]["loss"] if first else None
    again = next((point["update"] - starts[number] for point in inside if before is not None and point["loss"] <= before), None)
    return [arm, str(body.made.get("seed")), Text(f"{number + 1}", number + 1), _count(starts[number]), _count(at[last - 1]),
            _loss(before), _loss(inside[0]["loss"]), _loss(inside[-1]["loss"]),
            _count(again) if again is not None else NOTHING if before is None else "not in the episode"]


def _count(value: float) -> Text:
    return Text(f"{value:,.0f}", value)


def _loss(value: float | None) -> Value:
    return Text(f"{value:.3f}", value) if value is not None else NOTHING


def rate_table(bodies: dict[str, list[Artefact]]) -> Table:
    """Peak and last learning rates of each body."""
    rows: list[list[Value]] = []
    for arm in sort_arms(list(bodies)):
        for body in bodies[arm]:
            cells: list[Value] = []
            for key in ("lr", "lr_embedding"):
                rates = [point[key] for point in body.training if key in point]
                cells += [Text(f"{rate:.3g}", rate) for rate in (max(rates), rates[-1])] if rates else [NOTHING, NOTHING]
            rows.append([arm, str(body.made.get("seed")), *cells])
    head = ["arm", "seed", "body, peak", "body, last", "embedding, peak", "embedding, last"]
    return Table("Learning rates as logged", head, rows)
