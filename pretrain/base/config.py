"""Recipes: YAML files with `key=value` words, checked against a dataclass of settings, all mistakes at once, a line each.

Unknown keys are mistakes that name the nearest known key. `extends: other.yaml` takes another recipe's settings where this one is
silent. `${other}` stands for another setting of the recipe; nothing else is
looked up, so that a recipe of somebody else's can read neither the environment nor a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, TypeVar

from pretrain.base.errors import UserError, nearest
from pretrain.base.files import require_file
from pretrain.base.settings import declared, option, refuse, shown

Recipe = TypeVar("Recipe")
EXTENDS = "extends"
"""Key of a recipe that names another, whose settings hold where it says nothing itself."""
WORDS = "command line"
DEFAULT = "default"
MOST_BYTES = 1 << 20
MOST_VALUES = 100_000
"""Of a recipe, aliases written out: a few lines of YAML can stand for billions of values."""
MOST_DEPTH = 50
_RESOLVER = re.compile(r"\$\{[^{}]*:")


@dataclass(frozen=True)
class Value:
    """A setting's value and where it comes from: `default`, `FILE:LINE`, `command line`, or an option such as `--lr`."""

    value: Any
    origin: str = DEFAULT


def read_yaml(path: str | Path, what: str = "a recipe (YAML)") -> tuple[dict[str, Any], dict[str, int]]:
    """The content of a YAML file, references not yet filled in, and the line of each dotted key.

    Raises:
        UserError: no file, no YAML, no mapping, or one that is larger or deeper than any recipe.
    """
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    path = require_file(path, what)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise UserError(f"{path}: {size:,} bytes, expected {what} of at most {MOST_BYTES:,}")
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return {}, {}
        _weigh(node, path, {}, 0)
        if not isinstance(node, yaml.MappingNode):
            raise UserError(f"{path}: expected `key: value` lines, got a {'list' if isinstance(node.value, list) else 'text'}")
        content = OmegaConf.to_container(OmegaConf.create(text))
    except RecursionError:
        raise UserError(f"{path}: nested more than {MOST_DEPTH} deep, expected {what}") from None
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as error:  # a ValueError: a number of too many digits
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    lines: dict[str, int] = {}
    _lines(node, "", lines)
    return content, lines  # type: ignore[return-value]


def _weigh(node: Any, path: Path, known: dict[int, int], depth: int) -> int:
    """How many values a node stands for, aliases written out; refuses too many, too deep, and what looks outside the file."""
    import yaml

    if depth > MOST_DEPTH:
        raise UserError(f"{path}:{node.start_mark.line + 1}: nested more than {MOST_DEPTH} deep")
    if id(node) in known:
        if known[id(node)] < 0:
            raise UserError(f"{path}:{node.start_mark.line + 1}: contains itself")
        return known[id(node)]
    known[id(node)] = -1
    count = 1
    if isinstance(node, yaml.ScalarNode):
        refuse_resolvers(str(node.value), f"{path}:{node.start_mark.line + 1}")
    elif isinstance(node, yaml.MappingNode):
        count += sum(_weigh(part, path, known, depth + 1) for pair in node.value for part in pair)
    else:
        count += sum(_weigh(part, path, known, depth + 1) for part in node.value)
    if count > MOST_VALUES:
        raise UserError(f"{path}:{node.start_mark.line + 1}: stands for more than {MOST_VALUES:,} values")
    known[id(node)] = count
    return count


def refuse_resolvers(text: str, place: str) -> None:
    """Refuses `${name:…}`, which would be looked up outside the recipe, in the environment for one."""
    if _RESOLVER.search(text):
        raise UserError(f"{place}: got {text[:60]!r}, expected no ${{…:…}}; ${{key}} of another setting is allowed")


def _lines(node: Any, above: str, numbers: dict[str, int]) -> None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                place = f"{above}.{key.value}" if above else str(key.value)
                numbers.setdefault(place, key.start_mark.line + 1)
                _lines(value, place, numbers)


def parse_word(word: str) -> tuple[str, Any]:
    """`key=value` -> key and value, the value as YAML.

    Raises:
        ValueError: not of that form.
    """
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    key, mark, _ = word.partition("=")
    refuse_resolvers(word, WORDS)
    try:
        if not mark:
            raise ValueError
        return key, OmegaConf.to_container(OmegaConf.from_dotlist([word]))[key]  # type: ignore[index, call-overload]
    except (KeyError, TypeError, ValueError, OmegaConfBaseException, yaml.YAMLError, RecursionError):
        raise ValueError(f"{shown(word)} is not of the form key=value") from None


def extended(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Value]:
    """What a recipe says, and below it the one that its key `extends` names, a path as seen from its own folder.

    Raises:
        UserError: as `read_yaml`; no path, or recipes that extend one another in a circle.
    """
    if path.resolve() in above:
        raise UserError(f"{path}: extends itself, through {', '.join(one.name for one in above)}; take `{EXTENDS}` out of one")
    content, lines = read_yaml(path)
    own = {str(key): Value(value, f"{path}:{lines.get(str(key), 1)}") for key, value in content.items()}
    if (base := own.pop(EXTENDS, None)) is None:
        return own
    if not isinstance(base.value, str) or not base.value:
        raise UserError(f"{base.origin}: {EXTENDS}: got {shown(base.value)}, expected the path of another recipe")
    return {**extended(path.parent / base.value, (*above, path.resolve())), **own}


def load_values(kind: type, path: str | Path | None, words: Sequence[str] = (),
                options: Mapping[str, Any] | None = None) -> dict[str, Value]:
    """The settings of `kind` (a dataclass of settings) by name, each with where it comes from.

    Args:
        path: a YAML file; None: none.
        words: `key=value`; they win over the file.
        options: options of the command line that were given; they win over both.

    Returns:
        In the dataclass's order; what must be given and is not has the value MISSING.

    Raises:
        UserError: every unknown key, wrong type and value out of range of file, words and options, a line each.
    """
    known = declared(kind)
    names = {one.key: name for name, one in known.items()}
    mistakes: list[str] = []
    given: dict[str, Value] = {}
    if path is not None:
        given.update(extended(Path(path)))
    for word in words:
        try:
            key, _, text = word.partition("=")
            plain = key in names and known[names[key]].kind is str and text.lower() not in ("", "~", "null")
            if plain and text[0] not in "\"'":  # a path is no YAML: `a: b`, `{x}/data` and `#1` are names of folders
                refuse_resolvers(word, WORDS)
                given[key] = Value(text, WORDS)
            else:
                key, value = parse_word(word)
                given[key] = Value(value, WORDS)
        except ValueError as error:
            mistakes.append(str(error))
    given.update({name: Value(value, option(name)) for name, value in (options or {}).items()})
    for key in [key for key in given if key not in names]:
        mistakes.append(f"{given.pop(key).origin}: unknown key {key!r}{nearest(key, names)}")
    given = {names[key]: value for key, value in given.items()}
    values = {name: Value(one.default) for name, one in known.items()}
    for name, one in _filled(kind, given, mistakes).items():
        place = one.origin if one.origin == option(name) else f"{one.origin}: {known[name].key}"
        try:
            values[name] = Value(known[name].convert(one.value), one.origin)
        except ValueError as error:
            mistakes.append(f"{place}: {error}")
            continue
        if text := known[name].problem(values[name].value):
            mistakes.append(f"{place}: {text}")
    refuse(mistakes)
    return values


def _filled(kind: type, given: Mapping[str, Value], mistakes: list[str]) -> dict[str, Value]:
    """The values with `${other}` filled in."""
    if not any(isinstance(one.value, str) and "${" in one.value for one in given.values()):
        return dict(given)
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    defaults = {name: one.default for name, one in declared(kind).items() if one.default is not MISSING}
    config = OmegaConf.create({**defaults, **{name: one.value for name, one in given.items()}})
    values = {}
    for name, one in given.items():
        try:
            values[name] = Value(config[name], one.origin)
        except (OmegaConfBaseException, RecursionError) as error:
            reason = str(error).splitlines()[0] if isinstance(error, OmegaConfBaseException) else "it refers to itself"
            mistakes.append(f"{one.origin}: {name}: got {one.value!r}: {reason}")
    return values


def missing(values: Mapping[str, Value]) -> list[str]:
    """The settings that must be given and are not."""
    return [name for name, one in values.items() if one.value is MISSING]


def load_recipe(kind: type[Recipe], path: str | Path | None, overrides: Sequence[str] = ()) -> Recipe:
    """A `kind` (a dataclass of settings) filled from a YAML file and `key=value` words; the words win.

    Raises:
        UserError: every unknown key, wrong type, value out of range and missing value of file and words.
    """
    values = load_values(kind, path, overrides)
    if absent := missing(values):
        raise UserError(f"missing: {', '.join(absent)} (give them as {absent[0]}=…)")
    return kind(**{name: one.value for name, one in values.items()})
