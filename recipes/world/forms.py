"""Logical forms: what a sentence means, in no language. Texts and NLI pairs are made of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

Reference = Literal["definite", "indefinite", "pronoun"]


@dataclass(frozen=True, slots=True)
class Entity:
    """Something in the scene. `concept` says what it is even where `reference` makes a pronoun of it.

    Within one text two entities of the same concept are the same individual. A person's name takes no article.
    """

    concept: str
    adjectives: tuple[str, ...] = ()
    reference: Reference = "definite"


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody does something. `place` is where it happens, or where it leads to if the verb is one of motion."""

    verb: str
    agent: Entity
    patient: Entity | None = None
    recipient: Entity | None = None
    place: str | None = None
    time: str | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Property:
    """The dog is (not) big."""

    subject: Entity
    adjective: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IsA:
    """Mira is (not) a baker; with an indefinite subject a general truth: a dog is an animal."""

    subject: Entity
    kind: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Location:
    """The dog is (not) in the garden."""

    subject: Entity
    place: str
    negated: bool = False


Clause = Event | Property | IsA | Location


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two clauses set side by side: the dog is big, it is not small."""

    first: Clause
    second: Clause


@dataclass(frozen=True, slots=True)
class Both:
    """Two clauses joined by *and*."""

    first: Clause
    second: Clause


@dataclass(frozen=True, slots=True)
class Linked:
    """A clause behind a discourse connector (one of `concepts.CONNECTORS`)."""

    connector: str
    clause: Clause


Form = Clause | Contrast | Both | Linked

_TYPES: dict[str, type] = {t.__name__: t for t in (Entity, Event, Property, IsA, Location, Contrast, Both, Linked)}


def clauses(form: Form) -> tuple[Clause, ...]:
    """The clauses that a form asserts, in order."""
    if isinstance(form, Contrast | Both):
        return form.first, form.second
    if isinstance(form, Linked):
        return (form.clause,)
    return (form,)


def subject(clause: Clause) -> Entity:
    """What a clause is about: an event's agent, otherwise the subject."""
    return clause.agent if isinstance(clause, Event) else clause.subject


def to_data(form: Any) -> Any:
    """A form (or entity) as JSON data: a dict with the type's name under `form`, without default values."""
    if is_dataclass(form) and not isinstance(form, type):
        data: dict[str, Any] = {"form": type(form).__name__}
        for field in fields(form):
            value = getattr(form, field.name)
            if value != field.default:
                data[field.name] = to_data(value)
        return data
    return [to_data(value) for value in form] if isinstance(form, tuple) else form


def from_data(data: Any) -> Any:
    """The inverse of `to_data`. Raises ValueError on an unknown type name."""
    if isinstance(data, dict):
        name = data.get("form")
        if name not in _TYPES:
            raise ValueError(f"unknown logical form {name!r} (known: {', '.join(_TYPES)})")
        return _TYPES[name](**{key: from_data(value) for key, value in data.items() if key != "form"})
    return tuple(from_data(value) for value in data) if isinstance(data, list) else data
