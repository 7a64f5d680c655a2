"""What is written for readers is true: commands parse with the real parser, and named files and folders are there."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain.base.settings import declared
from pretrain.recipe import PretrainRecipe
from recipes.cli import EXAMPLE, VERBS, build_parser

pytestmark = pytest.mark.invariant
ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def verb_parser(verb: str) -> argparse.ArgumentParser:
    """The parser of one verb."""
    chosen = next(action for action in build_parser(verb)._actions if isinstance(action, argparse._SubParsersAction))
    return chosen.choices[verb]


def blocks(text: str) -> list[str]:
    """Code blocks of a Markdown page."""
    return re.findall(r"^```\w*\n(.*?)^```", text, flags=re.M | re.S)


def commands(text: str) -> Iterator[str]:
    """Lines that begin with `relexify `, also in a loop on one line; continued lines joined, words in brackets included."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        looped = re.match(r"\s*for .*?; *do (relexify [^;]*); *done", line)
        command = looped[1] if looped else line.strip()
        if command.startswith("relexify "):
            yield re.sub(r"\[(--[^\]]*)\]", r"\1", command)


def parsed(command: str) -> list[str]:
    """The mistakes of a command line, by the parser that `relexify` uses itself."""
    words = shlex.split(command, comments=True)[1:]
    if words[:1] == ["VERB"] or "…" in command:
        return []
    if words[0] not in VERBS:
        return [f"{command}: no verb {words[0]}"]
    if "$" in command:  # variables of a shell hold some of its words
        return unknown_options(words)
    parser = build_parser(words[0])
    try:
        args = parser.parse_args(words)
    except SystemExit as stop:
        return [] if stop.code == 0 else [f"{command}: refused by its parser"]
    if args.verb != "pretrain":
        return []
    known = {one.key for one in declared(PretrainRecipe).values()}
    return [f"{command}: no setting {word}" for word in words[2:] if "=" in word and word.partition("=")[0] not in known]


def unknown_options(words: list[str]) -> list[str]:
    """Options that a verb does not have. Of `bench` the kinds of benchmarks have them."""
    known = {option for action in verb_parser(words[0])._actions for option in action.option_strings}
    given = [] if words[0] == "bench" else [word for word in words if word.startswith("--")]
    return [option for option in given if option.partition("=")[0] not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_a_page_runs_can_be_run(page: Path) -> None:
    """`python -m NAME`: the file is there and is a script, or the package has a `__main__`."""
    for name in re.findall(r"python -m ((?:recipes|tests|adapt|pretrain|tasks)[\w.]*)", page.read_text(encoding="utf-8")):
        place = ROOT.joinpath(*name.split("."))
        script = place / "__main__.py" if place.is_dir() else place.with_suffix(".py")
        assert script.is_file() and "__main__" in script.read_text(encoding="utf-8") + script.name, name


def test_a_loop_on_one_line_is_read() -> None:
    (command,) = commands("for s in 1 2; do relexify demo --output d$s --seed $s; done\n")
    assert command == "relexify demo --output d$s --seed $s" and parsed(command) == ["--seed"]


def examples() -> dict[str, str]:
    """Name -> the examples that `--help` prints."""
    return {"relexify": EXAMPLE, **{verb: verb_parser(verb).epilog or "" for verb in VERBS}}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_a_page_parse(page: Path) -> None:
    found = [command for block in blocks(page.read_text(encoding="utf-8")) for command in commands(block)]
    assert [mistake for command in found for mistake in parsed(command)] == []
    assert found or page.name != "README.md"


@pytest.mark.parametrize("verb", ["relexify", *VERBS])
def test_the_examples_of_help_parse(verb: str) -> None:
    found = list(commands(examples()[verb]))
    # an explanation may stand behind two blanks
    assert [mistake for command in found for mistake in parsed(re.split(r"\s{3,}", command)[0])] == []
    assert found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_within_the_text_name_verbs_and_options_that_exist(page: Path) -> None:
    for command in re.findall(r"`relexify ([^`]+)`", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)):
        verb, *words = command.split()
        if verb in ("VERB", "…"):
            continue
        assert verb in VERBS, command
        assert unknown_options([verb, *words]) == [], command


def test_a_wrong_command_is_found() -> None:
    assert parsed("relexify adopt --body x") and parsed("relexify adapt --bodies x") and parsed("relexify inspect")
    assert parsed("relexify pretrain recipes/pretrain/demo-standard.yaml dada=x")
    assert parsed('relexify fill --body runs/en "a <mask>"   # why') == []


def tree(text: str) -> Iterator[str]:
    """Paths that a tree of files names: folders by their indentation, files as the first words of a line."""
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        while above and above[-1][0] >= indent:
            above.pop()
        parent = "".join(name for _, name in above)
        for word in re.split(r"\s", line.strip()):
            if not re.fullmatch(r"[\w.-]+(/|\.(py|css|js|yaml|md))", word):
                break
            yield parent + word
            if word.endswith("/"):
                above.append((indent, word))
                break


def where_things_are() -> list[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Where things are", 1)[1].split("\n## ", 1)[0]
    return [path for block in blocks(section) for path in tree(block)]


def test_the_tree_of_the_readme_is_the_house() -> None:
    named = where_things_are()
    assert len(named) > 150 and [path for path in named if not (ROOT / path).exists()] == []
    assert len(named) == len(set(named))


def test_the_tree_of_the_readme_names_every_module() -> None:
    """A new file gets a line there, with a few words."""
    modules = {path.relative_to(ROOT).as_posix() for folder in ("pretrain", "adapt", "tasks", "recipes")
               for path in (ROOT / folder).rglob("*.py") if path.name != "__init__.py" and "simulated" not in path.parts}
    assert modules - set(where_things_are()) == set()


def test_paths_of_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    words = re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", text)
    named = {word.rstrip("/") for word in words if "/" in word or word.endswith((".py", ".md"))}
    assert len(named) > 15
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert target.startswith(("http:", "https:")) or (page.parent / target).exists(), target


def test_tests_of_what_changed() -> None:
    def chosen(*paths: str) -> list[str]:
        done = subprocess.run([sys.executable, ROOT / ".ci" / "changed", *paths], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert chosen("adapt/text/prepare.py", "README.md") == ["tests/adapt/text/test_prepare.py"]
    assert chosen("tests/pretrain/test_masking.py") == ["tests/pretrain/test_masking.py"]
    importing = "tests/tasks/learning/test_layer_decay.py"  # there is no test of its name, but one imports it
    assert importing in chosen("pretrain/trainer/optimizer.py")
    assert "tests/adapt/probe/test_fill.py" in chosen("tests/pairs.py")
