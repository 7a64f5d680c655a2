"""No comparison of computed numbers hangs on the last digit: absolute tolerances have a relative part beside them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.invariant
TESTS = Path(__file__).resolve().parent
COMPARISONS = {"assert_close": ("atol", "rtol"), "assert_allclose": ("atol", "rtol"), "allclose": ("atol", "rtol"),
               "isclose": ("atol", "rtol"), "approx": ("abs", "rel"), "EXACT": ("abs", "rel")}
DEFAULT_RELATIVE = {"allclose", "isclose"}
"""Functions that keep a useful relative part when only the absolute one is given."""
ROUNDED = 1e-3
"""From here on a tolerance of `approx` is the error of a draw, or of a figure that was rounded to be printed."""


def absolute_only(source: str) -> list[int]:
    """Lines of comparisons with an absolute tolerance above zero and none that is relative."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in COMPARISONS:
            continue
        absolute, relative = COMPARISONS[name]
        given = {word.arg: word.value for word in node.keywords}
        if absolute not in given or _is_zero(given[absolute]):
            continue
        if name in ("approx", "EXACT") and isinstance(given[absolute], ast.Constant) and given[absolute].value >= ROUNDED:
            continue
        if (relative not in given and name not in DEFAULT_RELATIVE) or (relative in given and _is_zero(given[relative])):
            found.append(node.lineno)
    return found


def _is_zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_absolute_tolerances_have_a_relative_part(path: Path) -> None:
    assert absolute_only(path.read_text(encoding="utf-8")) == []


def test_the_rule_knows_both_kinds() -> None:
    for bad in ("assert_close(a, b, atol=1e-5, rtol=0)", "np.testing.assert_allclose(a, b, atol=1e-5)", "approx(1.0, abs=1e-6)",
                "torch.allclose(a, b, atol=1e-6, rtol=0)", "approx(a, abs=tolerance)"):
        assert absolute_only(bad) == [1], bad
    for good in ("assert_close(a, b, atol=0, rtol=0)", "assert_close(a, b)", "approx(1.0)", "approx(0.3, abs=0.02)",
                 "approx(1.0, abs=1e-6, rel=1e-6)", "torch.allclose(a, b, atol=1e-6)"):
        assert absolute_only(good) == [], good
