"""A declared setting: conversion, ranges in words, reference to another stage's, and what the trainer is told."""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass

import pytest

from pretrain.base.errors import UserError
from pretrain.base.settings import Range, check, declared, like, option, points, problems, setting, trainer_options


@dataclass
class One:
    place: str = setting(MISSING, "a folder", unit="folder")
    rate: float = setting(0.5, "a rate", "a paper", "share", Range(0, 1, above=True), part="x", trainer="the_rate",
                          trainer_default=0.1)
    count: int = setting(0, "a count", allowed=Range(2, 1_000_000, also=(0,)), part="x", unset=True)
    kind: str = setting("", "a kind", allowed=("", "left", "right"), part="y")
    files: tuple[str, ...] = setting((), "files", unit="files", part="y", unset=True)
    limit: int | None = setting(None, "a limit", allowed=Range(1, 10))
    flag: bool = setting(False, "a flag")


@dataclass
class Two:
    rate: float = like(One, "rate", 0.25, help="another help")
    count: int = like(One, "count")


def test_types_are_found_with_none_and_texts():
    found = declared(One)
    assert [one.kind for one in found.values()] == [str, float, int, str, tuple, int, bool]
    assert [one.name for one in found.values() if one.optional] == ["limit"] and found["place"].required


@pytest.mark.parametrize(("name", "given", "value"), [
    ("rate", 1, 1.0), ("rate", "1e-3", 1e-3), ("count", 4.0, 4), ("count", "4", 4), ("files", "a", ("a",)),
    ("files", ["a", 1], ("a", "1")), ("flag", "true", True), ("limit", None, None), ("limit", 3, 3), ("kind", 5, "5")])
def test_values_get_the_settings_type(name, given, value):
    made = declared(One)[name].convert(given)
    assert made == value and type(made) is type(value)


@pytest.mark.parametrize(("name", "given"), [
    ("rate", "x"), ("rate", None), ("rate", True), ("rate", [1]), ("count", 1.5), ("count", math.nan), ("count", math.inf),
    ("rate", 10**400), ("flag", 1), ("flag", "yes"), ("kind", {"a": 1}), ("limit", "none")])
def test_other_types_are_refused(name, given):
    with pytest.raises(ValueError, match=r"got .*, expected "):
        declared(One)[name].convert(given)


def test_ranges_hold_their_borders_or_not():
    half, whole = Range(0, 1, above=True), Range(2, 9, below=True, also=(0,))
    assert [half.holds(value) for value in (0, 1e-9, 1, 1.1, math.nan, math.inf)] == [False, True, True, False, False, False]
    assert [whole.holds(value) for value in (0, 1, 2, 8, 9)] == [True, False, True, True, False]
    assert half.text(float) == "a number above 0 to 1"
    assert whole.text(int) == "a whole number from 2 and below 9, or 0"
    assert Range(1, 10**9).text(int) == "a whole number from 1 to 1,000,000,000"


def test_all_problems_are_found_and_spelled_as_the_user_wrote_them():
    wrong = One("p", rate=math.nan, count=1, kind="lef", limit=11)
    assert problems(wrong) == [
        "rate: got nan, expected a number above 0 to 1", "count: got 1, expected a whole number from 2 to 1,000,000, or 0",
        "kind: got 'lef', expected one of left, right (or left empty), did you mean 'left'?",
        "limit: got 11, expected a whole number from 1 to 10"]
    with pytest.raises(UserError, match=r"^4 mistakes\n--rate: got nan"):
        check(wrong, option)
    with pytest.raises(UserError, match=r"^--limit: got 0, expected"):
        check(One("p", limit=0), option)
    check(One("p"))


def test_a_setting_like_another_says_only_what_differs():
    own, other = declared(One), declared(Two)
    assert other["count"] == own["count"]
    assert (other["rate"].default, other["rate"].about.help, other["rate"].about.source) == (0.25, "another help", "a paper")
    assert other["rate"].about.allowed == own["rate"].about.allowed


def test_the_trainer_is_told_what_is_set_under_its_own_names():
    assert trainer_options(One("p"), "x") == {"the_rate": 0.5, "count": None}
    given = One("p", count=3, files=("a", "b"))
    assert trainer_options(given, "x", "y") == {"the_rate": 0.5, "count": 3, "kind": "", "files": "a,b"}
    assert (declared(One)["rate"].trainer_default, declared(One)["files"].trainer_default) == (0.1, "")


def test_points_are_numbers_with_commas():
    assert points("") == [] and points("100,300") == [100, 300]
    with pytest.raises(ValueError):
        points("100,x")
