"""Which records are the same arm, and under which condition: names derived from records, never from the user's folders
unless nothing else tells two bodies apart.

An **arm** is how the body was pre-trained: `standard` (forgetting.every is 0), `forgetting`, `temporary forgetting`
(forgetting.until before the run's end), `matched control` (forgetting.reset is `none`: the episodes' learning rate without a
reset), else the body's folder name (an imported checkpoint says nothing about forgetting). Resets that do something else than
to draw all rows anew say so behind that: `forgetting, permuted rows`. Bodies of one arm that differ in another setting than the
seed get as many of these settings into their names as tell them apart, of each only where it is not the commonest. A
**condition** is what else differs between records of one arm, language and seed: initialiser, text, length of the adaptation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pretrain.base.settings import default_of
from pretrain.recipe import LATER
from pretrain.settings import PretrainRecipe
from recipes.report.results.records import Collected, Score

STANDARD, FORGETTING, TEMPORARY, CONTROL = "standard", "forgetting", "temporary forgetting", "matched control"
ORDER = (STANDARD, FORGETTING, TEMPORARY, CONTROL)
MEANING = {
    STANDARD: "pre-trained as usual",
    FORGETTING: "the embedding was reset every K updates of the pre-training, to its end",
    TEMPORARY: "the embedding was reset every K updates of the first part of the pre-training",
    CONTROL: "the learning rate of forgetting, but nothing was reset",
}
RESET_MEANING = "A reset throws the embedding away and draws it anew"
PERMUTED, SHARE, ROTATED = "permuted rows", " of the rows", " tables in turn"
"""How the names of resets end that do something else."""
VARIANTS = {
    PERMUTED: "the pieces' rows changed places",
    SHARE: "only a random part of the rows was reset, another each time",
    ROTATED: "nothing was thrown away: several tables took turns, each taken up where it had been left",
}
MULTITASK, THEN_ALONE = "multi-task", "multi-task, then one task"
SUFFIXES = {("multitask",): MULTITASK, ("multitask", "finetune"): THEN_ALONE}
SEVERAL_MEANING = (f"An arm with “{MULTITASK}” behind its name is the same body, trained on several tasks at once; with "
                   f"“{THEN_ALONE}” it was then trained once more on the task that is scored.")
LEARNED_IN = ", learned in "
LEARNED_MEANING = ("An arm with “learned in” behind its name is the same body, but it learned the task from examples in these "
                   "languages, each read through its own embedding; the others through the embedding of the pre-training.")
UNTRAINED = "head not trained"
"""How the condition of a baseline begins whose head was drawn."""
VOLATILE = {"data", "output", "seed", "threads", "processes", "nodes", "tensorboard", "compile", "validate_every", "precision"}
"""Settings of a recipe that do not make another arm."""


def suffix(body: Mapping[str, Any]) -> str:
    """What is added to the arm of a scored body: how it came to its tasks; empty where it learned one."""
    told = SUFFIXES.get(tuple(body.get("stages") or ()), "")
    return f", {told}" if told else ""


def learned_in(score: Score) -> str:
    """What is added to the arm of a body that learned its task with other languages' embeddings than that of the pre-training."""
    base = score.body_made.get("language")
    told = score.learned_in
    return f"{LEARNED_IN}{told}" if "+" in told or (base and told and told != base) else ""


def single(arm: str) -> str:
    """The arm that learned each task alone."""
    return next((arm.removesuffix(f", {told}") for told in (THEN_ALONE, MULTITASK) if arm.endswith(f", {told}")), arm)


def body_arm(arm: str) -> str:
    """The arm of the pre-trained body: without how and in which languages it learned its tasks."""
    return single(arm).partition(LEARNED_IN)[0]


def base_of(arm: str) -> str:
    """What an arm's name begins with: one of `ORDER` without what tells its arms apart, or (a part of) a folder's name."""
    return arm.partition(" (")[0].partition(", ")[0]


def several(arm: str) -> bool:
    """Whether an arm learned several tasks at once."""
    return single(arm) != arm


def base_label(made: dict[str, Any]) -> str:
    """The arm that a body's record tells; empty where it says nothing of forgetting."""
    forgetting = made.get("forgetting")
    if not isinstance(forgetting, dict) or "every" not in forgetting:
        return ""
    if not forgetting["every"]:
        return STANDARD
    if forgetting.get("reset") == "none":
        return CONTROL
    until, updates = forgetting.get("until"), made.get("updates")
    ended = until and not (isinstance(updates, int) and until >= updates)  # an end that the run does not reach is none
    return (TEMPORARY if ended else FORGETTING) + _variant(forgetting)


def _variant(forgetting: Mapping[str, Any]) -> str:
    """What is added to the arm where its resets do something else than to draw all rows anew."""
    told = []
    if forgetting.get("reset") == "permute":
        told.append(PERMUTED)
    if forgetting.get("reset") == "rotate":
        told.append(f"{forgetting.get('tables')}{ROTATED}")
    share = forgetting.get("share", 1)
    if isinstance(share, int | float) and share != 1:
        told.append(f"{100 * share:g} %{SHARE}")
    return "".join(f", {one}" for one in told)


def meanings(arms: Sequence[str]) -> list[str]:
    """What these names of arms mean, in sentences."""
    bodies = list(dict.fromkeys(map(body_arm, arms)))
    bases = list(dict.fromkeys(map(base_of, bodies)))
    told = [f"{base}: {MEANING[base]}" for base in ORDER if base in bases]
    others = [arm for arm in bodies if base_of(arm) not in MEANING]
    told += [f"{', '.join(others)}: named by folder, the record does not say how the body was made"] if others else []
    found = ["An arm is a way to pre-train the body. " + "; ".join(told) + "."]
    if {FORGETTING, TEMPORARY} & set(bases):
        variants = [f"with “{name.strip()}” in an arm's name {text}" for name, text in VARIANTS.items()
                    if any(part.partition(" (")[0].endswith(name) for arm in bodies for part in arm.split(", ")[1:])]
        found.append("; ".join([RESET_MEANING, *variants]) + ".")
    found += [SEVERAL_MEANING] if any(map(several, arms)) else []
    return found + ([LEARNED_MEANING] if any(LEARNED_IN in arm for arm in arms) else [])


def _signature(made: dict[str, Any]) -> dict[str, str]:
    recipe = made.get("recipe")
    settings = recipe if isinstance(recipe, dict) else made.get("forgetting") or {}
    if isinstance(recipe, dict):  # what a record leaves out, it has by default
        settings = {**{name: default_of(PretrainRecipe, name) for name in LATER}, **settings}
    return {key: str(value) for key, value in settings.items() if key not in VOLATILE}


def _told_apart(signatures: dict[str, dict[str, str]]) -> dict[str, str]:
    """As few settings as tell all different signatures apart, each time the one that splits them furthest; of a signature those
    that are not the commonest among them. Where no value is the commonest, all are told."""
    keys = sorted({key for one in signatures.values() for key in one}, key=lambda key: (not key.startswith("forget"), key))
    chosen: list[str] = []

    def kinds(names: list[str]) -> int:
        return len({tuple(one.get(name) for name in names) for one in signatures.values()})

    while kinds(chosen) < kinds(keys):
        chosen.append(max(keys, key=lambda key: kinds([*chosen, key])))
    common = {key: _commonest({tuple(one.get(name) for name in chosen): one.get(key) for one in signatures.values()}.values())
              for key in chosen}
    return {lineage: ", ".join(_told(key, one.get(key)) for key in chosen if one.get(key) not in common[key])
            for lineage, one in signatures.items()}


def _commonest(values: Iterable[str | None]) -> set[str | None]:
    """The value that stands most often; none where several do."""
    counts = Counter(values).most_common(2)
    return {counts[0][0]} if len(counts) == 1 or counts[0][1] > counts[1][1] else set()


def _told(key: str, value: str | None) -> str:
    if value is None:
        return f"{key} unknown"
    return f"{key}={value}" if value else f"{key} not set"


def _folder(made: dict[str, Any], path: str) -> str:
    """The folder name that tells a body best: that of its own output, else that of the scored body."""
    recipe = made.get("recipe")
    place = str(recipe["output"]) if isinstance(recipe, dict) and recipe.get("output") else path
    parts = [part for part in Path(place).parts if part not in ("/", ".", "..")]
    return "/".join(parts[-2:]) or "body"


def arms_of(found: Collected) -> dict[str, str]:
    """Lineage -> arm, for every body that a record or an artefact tells of."""
    bodies: dict[str, tuple[dict[str, Any], str]] = {}
    for score in found.scores:
        bodies.setdefault(score.lineage, (score.body_made, str(score.record["body"].get("path", ""))))
    for artefact in found.artefacts:
        if artefact.kind == "body" and (artefact.fingerprint not in bodies or not bodies[artefact.fingerprint][0]):
            bodies[artefact.fingerprint] = (artefact.made, artefact.shown.removesuffix("/body"))
    labels = {lineage: base_label(made) or _folder(made, path) for lineage, (made, path) in bodies.items()}
    for label in sorted(set(labels.values())):
        members = [lineage for lineage in bodies if labels[lineage] == label]
        signatures = {lineage: _signature(bodies[lineage][0]) for lineage in members}
        for lineage, told in _told_apart(signatures).items():
            labels[lineage] = f"{label} ({told})" if told else label
    for label in sorted(set(labels.values())):
        members = [lineage for lineage in bodies if labels[lineage] == label]
        seeds = [bodies[lineage][0].get("seed") for lineage in members]
        if len(set(map(str, seeds))) < len(seeds):  # the same seed twice: only the folders tell them apart
            for lineage in members:
                labels[lineage] = f"{label} ({_folder(*bodies[lineage])})"
    return labels


def sort_arms(labels: Sequence[str]) -> list[str]:
    """Standard first, then the others in the order of `ORDER`, those of one base together, by name."""
    def place(label: str) -> tuple[int, str]:
        base = base_of(label)
        return (ORDER.index(base) if base in ORDER else len(ORDER), label)

    return sorted(set(labels), key=place)


def text_size(score: Score, found: Collected) -> str:
    """How much text an embedding was adapted on, from the record of its prepared data; else the start of its hash."""
    digest = score.made.get("data_sha256")
    if digest is None:
        final = next((other for other in found.scores if other.base == score.base and other.made.get("data_sha256")), None)
        digest = final.made["data_sha256"] if final else None
    return _text_of(digest, found)


def _text_of(digest: Any, found: Collected) -> str:
    prepared = found.prepared.get(str(digest))
    if prepared is None:
        return f"text {str(digest)[:8]}" if digest else "text not recorded"
    budget = (prepared.get("settings") or {}).get("tokens")
    if budget:
        return f"{int(budget):,} tokens of text"
    tokens = ((prepared.get("splits") or {}).get("train") or {}).get("tokens")
    return f"about {float(f'{tokens:.1g}'):,.0f} tokens of text" if tokens else f"text {str(digest)[:8]}"


def text_budget(score: Score, found: Collected) -> int | None:
    """How many tokens of text an embedding was adapted on where the text was cut to a number (`prepare --tokens`)."""
    budget = (found.prepared.get(str(score.made.get("data_sha256")), {}).get("settings") or {}).get("tokens")
    return int(budget) if budget else None


def _objective(score: Score) -> str:
    tying = score.made.get("tying")
    return " ".join([str(score.made.get("objective", "")), *([] if tying in (None, "", "embedding") else [str(tying)])])


def _fields(found: Collected) -> list[Callable[[Score], str]]:
    """What may tell two records of one arm, language and seed apart, the most telling first."""
    return [
        lambda score: str(score.made.get("initialiser", "")),
        _objective,
        lambda score: text_size(score, found),
        lambda score: f"special rows {score.made.get('special_rows', 'not recorded')}",
        lambda score: learned_with(score, found),
        lambda score: f"head {(score.record.get('head') or {}).get('kind', '')}",
        lambda score: f"task body of {score.record['body'].get('updates')} updates",
        lambda score: f"at most {score.record.get('max_length', '')} tokens",
        lambda score: str(score.record.get("precision", "")),
        lambda score: f"adapted for {score.updates} updates",
        lambda score: f"task body {Path(str(score.record['body'].get('path', ''))).name}",
        lambda score: f"embedding {Path(score.base).parent.name}/{Path(score.base).name}",
        lambda score: f"scored in {score.file.parent.name}",
        lambda score: score.shown,
    ]


def learned_with(score: Score, found: Collected) -> str:
    """The embeddings that a task was learned with, where they were adapted and otherwise than the one that it is scored with."""
    how = score.learned_with
    made = score.made
    alike = how.get("initialiser") == made.get("initialiser") \
        and how.get("updates") == made.get("planned_updates", made.get("updates"))
    if not how or alike:
        return ""
    text = f" on {_text_of(how['data_sha256'], found)}" if how.get("data_sha256") in found.prepared else ""
    return f"learned with {how.get('initialiser')} embeddings of {how.get('updates')} updates{text}"


def _clash(score: Score) -> tuple[Any, ...]:
    return (*score.test, *score.languages, score.arm, score.seeds, score.condition)


def label(found: Collected) -> None:
    """Gives every score its arm and its condition.

    Scores of heads that were never trained stand apart: they are no further seed of the trained ones. Otherwise a
    condition is spelled out only as far as it is needed: a field enters where two final records of one arm, language
    and seed differ in it, and then it enters for all adapted embeddings of that test.
    """
    found.arms = arms_of(found)
    for score in found.scores:
        drawn = "head" in score.record and not (score.record["head"] or {}).get("trained_on")
        score.arm = found.arms[score.lineage] + learned_in(score) + suffix(score.record["body"])
        score.condition = UNTRAINED if drawn else ""
        score.besides_text, score.text = score.condition, text_budget(score, found)
    for test in sorted({score.test for score in found.scores}):
        members = [score for score in found.scores if score.test == test]
        for describe in _fields(found):
            groups: dict[tuple[Any, ...], list[Score]] = {}
            for score in members:
                if score.final:
                    groups.setdefault(_clash(score), []).append(score)
            clashes = [group for group in groups.values() if len(group) > 1]
            if not clashes:
                break
            if any(len({describe(score) for score in group}) > 1 for group in clashes):
                for score in members:
                    told = describe(score) if score.adapted or not any(s.adapted for g in clashes for s in g) else ""
                    score.condition = ", ".join(part for part in (score.condition, told) if part)
                    if told != text_size(score, found):
                        score.besides_text = ", ".join(part for part in (score.besides_text, told) if part)
    ends = {(*score.test, *score.languages, score.arm, score.lineage, score.base, score.seeds): score.condition
            for score in found.scores if score.final}
    for score in found.scores:
        if not score.final:  # an earlier point of an adaptation run belongs to that run
            end = (*score.test, *score.languages, score.arm, score.lineage, score.base, score.seeds)
            score.condition = ends.get(end, score.condition)
