"""A YAML file whose mistakes are collected, each with its place, instead of ending the reading at the first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaml import YAMLError

from pretrain.base.config import WORDS, read_yaml, refuse_resolvers
from pretrain.base.errors import UserError, nearest
from pretrain.base.settings import refuse

_REFERENCE = re.compile(r"\$\{([^${}]+)\}")


@dataclass
class Source:
    """The content of a recipe with the places of its keys.

    Attributes:
        lines: dotted key -> line of the file.
        given: dotted keys of the `key=value` words.
        own: what the file says by itself, references not filled in.
        problems: one line each.
    """

    path: Path
    content: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    own: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def wrong(self, key: str, text: str) -> None:
        """Notes a mistake at a dotted key; the nearest key above it that has a line gives the line."""
        if any(word == key or word.startswith(key + ".") or key.startswith(word + ".") for word in self.given):
            place = WORDS
        else:
            above, number = key, self.lines.get(key)
            while number is None and "." in above:
                above = above.rpartition(".")[0]
                number = self.lines.get(above)
            place = f"{self.path}:{number}" if number else str(self.path)
        self.problems.append(f"{place}: {key}: {text}" if key else f"{place}: {text}")

    def table(self, key: str, value: Any, known: Iterable[str] | None = None) -> dict[str, Any]:
        """`value` as a mapping with string keys of which all are `known`; what is not is noted and left out."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong(key, f"expected `key: value` lines, got {value!r}")
            return {}
        found = {}
        for name, item in value.items():
            place = f"{key}.{name}" if key else str(name)
            if not isinstance(name, str):
                self.wrong(key, f"the key {name!r} is no text; write it in quotes")
            elif known is not None and name not in known:
                self.wrong(place, f"unknown key{nearest(name, known)}")
            else:
                found[name] = item
        return found

    def names(self, key: str, value: Any, kind: type = str) -> list[Any]:
        """`value` as a list without repetitions of `kind`; a single one counts as a list of one."""
        items = value if isinstance(value, list) else [value]
        wanted = {str: "text", int: "whole number"}[kind]
        for item in items:
            if not isinstance(item, kind) or isinstance(item, bool):
                self.wrong(key, f"got {item!r}, expected {wanted}s, as [a, b]" + ("; write it in quotes" if kind is str else ""))
                return []
        if not items:
            self.wrong(key, "the list is empty")
        repeated = sorted({item for item in items if items.count(item) > 1})
        if repeated:
            self.wrong(key, f"{', '.join(map(str, repeated))} stands twice")
        return list(dict.fromkeys(items))

    def of_file(self, key: str) -> list[Any]:
        """What the file says at a key of its own as a list, whatever the words put in its place."""
        value = self.own.get(key)
        return value if isinstance(value, list) else [] if value is None else [value]

    def known(self, key: str, names: Iterable[str], known: Sequence[str]) -> None:
        """Notes every name that is none of the known ones."""
        for name in names:
            if name not in known:
                self.wrong(key, f"unknown {name!r}{nearest(name, known)} (known: {', '.join(known)})")

    def finish(self) -> None:
        """Raises all mistakes at once: UserError with one line each; a single one is a line by itself, which has its place."""
        refuse(self.problems, str(self.path) if len(self.problems) > 1 else "")


def read(path: str | Path, words: Sequence[str] = ()) -> Source:
    """The content of a recipe, changed by `key=value` words (`seeds=[1,2]`, `adapt.lr=1e-3`).

    Raises:
        UserError: no file, no YAML, or references that cannot be filled in.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    content, lines = read_yaml(path)
    config = OmegaConf.create(content)
    source = Source(Path(path), content, lines, own=content)
    given = content.get("values")
    values: dict[str, Any] = given if isinstance(given, dict) else {}
    referred = {name for name, _ in _references(content)}
    for word in words:
        key, mark, _ = word.partition("=")
        refuse_resolvers(word, WORDS)
        try:
            if not mark or not key:
                raise ValueError
            config = OmegaConf.merge(config, OmegaConf.from_dotlist([word]))  # type: ignore[assignment]
        except (ValueError, TypeError, OmegaConfBaseException, YAMLError, RecursionError):
            source.problems.append(f"{WORDS}: {word!r} is not of the form key=value")
            continue
        source.given.add(key)
        top, _, name = key.partition(".")
        if top == "values" and name and name.partition(".")[0] not in values and key not in referred:
            source.problems.append(f"{WORDS}: {key}: the recipe has no such value{nearest(name, values)} (it has: "
                                   f"{', '.join(map(str, values)) or 'none'})")
    try:
        source.content = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    except (OmegaConfBaseException, RecursionError) as error:
        plain = OmegaConf.to_container(config)
        keys = set(_keys(plain))
        for name, place in _references(plain):
            if OmegaConf.select(config, name, throw_on_resolution_failure=False) is None:
                source.wrong(place, f"${{{name}}} leads back to itself; write the value there" if name in keys else
                             f"${{{name}}} leads nowhere, expected a key of the recipe, as values.NAME under `values:`"
                             f"{nearest(name, keys - {place})}; name one that there is, or add it")
        if source.problems:
            source.finish()
        raise UserError(f"{path}: a ${{reference}} leads nowhere: {' '.join(str(error).split())}") from None
    return source


def _references(value: Any, place: str = "") -> list[tuple[str, str]]:
    """(key, dotted key where it stands) of each `${key}` in a content."""
    if isinstance(value, dict):
        return [one for key, item in value.items() for one in _references(item, f"{place}.{key}" if place else str(key))]
    if isinstance(value, list):
        return [one for item in value for one in _references(item, place)]
    return [(name.strip(), place) for name in _REFERENCE.findall(value)] if isinstance(value, str) else []


def _keys(value: Any, above: str = "") -> list[str]:
    """The dotted keys of a content."""
    if not isinstance(value, dict):
        return []
    named = {f"{above}.{key}" if above else str(key): item for key, item in value.items()}
    return [*named, *(key for place, item in named.items() for key in _keys(item, place))]
