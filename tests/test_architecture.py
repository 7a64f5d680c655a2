"""The house's rules, read from its imports: arrows one way, no circles, and fairseq in the rooms called `trainer` alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

pytestmark = pytest.mark.invariant
ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {"pretrain": set(), "adapt": {"pretrain"}, "tasks": {"pretrain", "adapt"},
              "recipes": {"pretrain", "adapt", "tasks", "relexify"},
              "relexify": {"pretrain", "adapt", "tasks"}}
"""A folder (or the module at the root) -> the folders that it may import."""
FAIRSEQ = {
    "pretrain/base/checkpoints.py": "makes fairseq load and write its checkpoints safely, when a trainer asks",
    "recipes/bench/steps.py": "measures our training step against fairseq's own",
}
"""Files outside `trainer` that import fairseq, inside a function; each with the reason."""


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file of every module of ours."""
    found = {}
    for path in [*ROOT.glob("relexify.py"), *(path for folder in MAY_IMPORT for path in (ROOT / folder).rglob("*.py"))]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def nodes(tree: ast.AST, everywhere: bool) -> Iterator[ast.AST]:
    """Everything in a file; without `everywhere` only what runs when it is imported."""
    for node in ast.iter_child_nodes(tree):
        if not everywhere and (isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                               or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))):
            continue
        yield node
        yield from nodes(node, everywhere)


def imports(name: str, source: str, package: bool = False, everywhere: bool = True) -> set[str]:
    """Modules that a module imports, `import_module("…")` included."""
    found = set()
    for node in nodes(ast.parse(source), everywhere):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = name.split(".") if package else name.split(".")[:-1]
            start = parent[:len(parent) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            found |= {inner if (inner := f"{base}.{alias.name}") in modules() else base for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args \
                and isinstance(node.args[0], ast.Constant):
            found.add(str(node.args[0].value))
    return found


@cache
def imported(name: str, everywhere: bool = True) -> set[str]:
    path = modules()[name]
    return imports(name, path.read_text(encoding="utf-8"), path.name == "__init__.py", everywhere)


def is_fairseq(name: str) -> bool:
    return name.partition(".")[0] in ("fairseq", "fairseq_cli")


def test_imports_are_found_in_every_form() -> None:
    source = ("import fairseq.data\nfrom fairseq import utils\nfrom . import files\nfrom ..masking import a\n"
              "def f():\n    import late\n    import_module('fairseq.x')\nclass C:\n    import inner\n")
    assert imports("pretrain.base.x", source) == {"fairseq.data", "fairseq", "pretrain.base.files", "pretrain.masking", "late",
                                                  "fairseq.x", "inner"}
    assert imports("pretrain.base.x", source, everywhere=False) == {"fairseq.data", "fairseq", "pretrain.base.files",
                                                                    "pretrain.masking", "inner"}
    assert len(modules()) > 150


def test_only_trainers_import_fairseq() -> None:
    found = {modules()[name].relative_to(ROOT).as_posix() for name in modules() if any(map(is_fairseq, imported(name)))}
    outside = {path for path in found if not re.fullmatch(r"(pretrain|adapt|tasks)/trainer/\w+\.py", path)}
    assert outside == set(FAIRSEQ)
    for path in FAIRSEQ:
        name = path.removesuffix(".py").replace("/", ".")
        assert not any(map(is_fairseq, imported(name, everywhere=False))), f"{path} imports fairseq when it is imported"


def test_no_trainer_is_imported_on_the_way_to_anything_else() -> None:
    """So everything but training works where fairseq is not installed. The three user-dirs do it where fairseq loads them."""
    for name in modules():
        if ".trainer" not in name and name not in ("pretrain", "adapt", "tasks"):
            assert not {other for other in imported(name, everywhere=False) if ".trainer" in other}, name


def test_arrows_between_the_folders_run_one_way() -> None:
    for name in modules():
        folder = name.partition(".")[0]
        others = {other.partition(".")[0] for other in imported(name)} & set(MAY_IMPORT) - {folder}
        assert others <= MAY_IMPORT[folder], f"{name} imports {sorted(others - MAY_IMPORT[folder])}"


def test_the_ground_floor_stands_on_nothing_of_ours() -> None:
    for name in modules():
        if name.startswith("pretrain.base"):
            ours = {other for other in imported(name) if other.partition(".")[0] in MAY_IMPORT}
            assert all(other.startswith("pretrain.base") for other in ours), (name, ours)


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Not inside a function either, nor for types alone. What is named by text is a contract (`Definition.parts`, `trainer`), and
    a package may load what registers itself with it (`adapt.initialise.load_all`)."""
    graph = {name: {other for other in imported(name) if other in modules() and other != name
                    and (other in imported(name, everywhere=False) or not other.startswith(f"{name}."))}
             for name in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_a_folder_below_a_user_dir_has_no_name_that_fairseq_imports_by_itself(folder: str) -> None:
    assert not any((ROOT / folder / name).exists() for name in ("models", "tasks"))
