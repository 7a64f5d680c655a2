"""The adversarial set of ARCT: every point a second time, with its claim negated and the other warrant right (Niven and Kao
2019).

What tells the right warrant by its words alone then tells it wrongly as often as rightly. The negated claims come from a table;
a claim that the table maps to itself would give two points that contradict each other, as 12 of the published training pairs and
28 of the published test pairs do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pretrain.base.errors import UserError
from pretrain.base.files import atomic_file
from pretrain.base.records import shorten
from tasks.choice.arct.tasks import ADVERSARIAL, FILES, GOLD, TEXTS, WARRANTS
from tasks.reading.files import Files

IDENTIFIER = "#id"
COLUMNS = (IDENTIFIER, *WARRANTS, GOLD, "reason", "claim", "debateTitle", "debateInfo")
MARK = "adversarial"
"""Column of a built set: is it the second of its pair?"""
Point = dict[str, str]
"""A row of a file by column."""


def read_points(path: str | Path) -> list[Point]:
    """The rows of a file of ARCT as they stand, whatever further columns they have.

    Raises:
        UserError: a missing column, or a label that is neither 0 nor 1; with its line.
    """
    points = []
    for where, row in FILES.rows(path):
        point = {name: str(row.get(name, "")) for name in (*COLUMNS, *row)}
        for name in (IDENTIFIER, *TEXTS):
            if not point[name].strip():
                raise UserError(f"{where}: no {name}; expected the columns {', '.join(COLUMNS[:6])}")
        if point[GOLD].strip() not in ("0", "1"):
            raise UserError(f"{where}: {GOLD} is {shorten(point[GOLD])}; expected 0 or 1")
        points.append(point)
    if not points:
        raise UserError(f"{path}: no points; the file is empty")
    return points


def read_claims(path: str | Path) -> dict[str, tuple[str, str]]:
    """claim -> (its negation, place) of a table with the columns `original` and `negated`, separated by commas or tabs.

    Raises:
        UserError: other columns, an empty cell, or a claim with two negations.
    """
    claims: dict[str, tuple[str, str]] = {}
    for where, row in Files("claims").rows(path):
        original, negated = (str(row.get(name, "")).strip() for name in ("original", "negated"))
        if not original or not negated:
            raise UserError(
                f"{where}: expected a claim and its negation in the columns original and negated, got {', '.join(row)}"
            )
        if original in claims and claims[original][0] != negated:
            raise UserError(f"{where}: a second negation of {shorten(original)}, the first is at {claims[original][1]}")
        claims.setdefault(original, (negated, where))
    return claims


@dataclass(frozen=True)
class Built:
    """An adversarial set: the points as they were, then their mirror images in the same order, and how many were left out."""

    points: list[Point]
    left_out: int


def build(points: Sequence[Point], claims: Mapping[str, tuple[str, str]], leave_out: bool = False) -> Built:
    """Mirrors every point.

    Args:
        leave_out: leave out points whose claim is missing in `claims` or mapped to itself, rather than refuse.

    Raises:
        UserError: such a claim; a point that is itself a mirror image.
    """
    kept = []
    for point in points:
        claim = point["claim"].strip()
        if point[IDENTIFIER].endswith(ADVERSARIAL):
            raise UserError(f"{point[IDENTIFIER]}: is a mirrored point already; build from the original file")
        if claim in claims and not same(claims[claim][0], claim):
            kept.append(point)
        elif not leave_out:
            reason = f"{claims[claim][1]}: maps it to itself" if claim in claims else "the claim map does not have it"
            raise UserError(
                f"{point[IDENTIFIER]}: the claim {shorten(claim)} has no negation ({reason}); write one there, or pass "
                "--leave-out to go without its points"
            )
    mirrored = [{**point, IDENTIFIER: point[IDENTIFIER] + ADVERSARIAL, "claim": claims[point["claim"].strip()][0],
                 GOLD: str(1 - int(point[GOLD])), MARK: "True"} for point in kept]
    return Built([*({**point, MARK: "False"} for point in kept), *mirrored], len(points) - len(kept))


def write_points(path: str | Path, points: Iterable[Point]) -> None:
    """Tab-separated, without quoting, in the columns of the original files and `adversarial`."""
    lines = ["\t".join((*COLUMNS, MARK)), *("\t".join(point[name] for name in (*COLUMNS, MARK)) for point in points)]
    with atomic_file(path) as temporary:
        Path(temporary).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def same(first: str, second: str) -> bool:
    """Do two claims say the same, but for case, spaces and the mark at the end?"""
    return " ".join(first.lower().split()).rstrip(".!?") == " ".join(second.lower().split()).rstrip(".!?")


def validate(points: Sequence[Point]) -> list[str]:
    """What is wrong with an adversarial set, a line each: pairs whose claim was not negated although the label was flipped, whose
    label was not flipped, whose reason or warrants differ, and points without a mirror image or with an id that stands twice."""
    found: list[str] = []
    by_id: dict[str, Point] = {}
    for point in points:
        if point[IDENTIFIER] in by_id:
            found.append(f"{point[IDENTIFIER]}: the id stands twice")
        by_id[point[IDENTIFIER]] = point
    if not any(identifier.endswith(ADVERSARIAL) for identifier in by_id):
        raise UserError(f"no id ends in {ADVERSARIAL!r}: this is no adversarial set; build one with `relexify arct build`")
    for identifier, first in by_id.items():
        if identifier.endswith(ADVERSARIAL):
            if identifier.removesuffix(ADVERSARIAL) not in by_id:
                found.append(f"{identifier}: its original is missing")
            continue
        second = by_id.get(identifier + ADVERSARIAL)
        if second is None:
            found.append(f"{identifier}: its mirror image is missing")
            continue
        flipped = first[GOLD].strip() != second[GOLD].strip()
        if flipped and same(first["claim"], second["claim"]):
            found.append(f"{identifier}: the label is flipped but the claim is not negated: {shorten(first['claim'])}")
        if not flipped:
            found.append(f"{identifier}: the label is not flipped")
        found += [
            f"{identifier}: {name} differs between the two" for name in ("reason", *WARRANTS) if first[name] != second[name]
        ]
    return found
