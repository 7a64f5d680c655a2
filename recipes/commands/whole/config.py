"""`relexify config STAGE [RECIPE.yaml] [key=value …]`"""

from __future__ import annotations

import argparse
import json
from dataclasses import MISSING

from pretrain.base.config import Value, load_values
from pretrain.base.errors import UserError, unknown
from pretrain.base.settings import declared
from recipes.stages import SETTINGS, settings_of

EXAMPLE = """examples:
  relexify config pretrain recipes/pretrain/laptop-forgetting.yaml updates=4000
  relexify config adapt lr=2e-3 body=runs/en data=data/sw output=runs/sw > sw.yaml
  relexify adapt --recipe sw.yaml --seed 2

What is printed is YAML that runs the stage: `relexify pretrain FILE.yaml`, and for the other stages `--recipe FILE.yaml`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A stage, a recipe, and words that take the place of what the recipe says."""
    parser.epilog = EXAMPLE
    parser.add_argument("stage", metavar="STAGE", help=", ".join(SETTINGS))
    parser.add_argument("words", nargs="*", metavar="[RECIPE.yaml] key=value", help="a file with settings; settings that take "
                        "the place of the file's")


def run(args: argparse.Namespace) -> int:
    """Prints the settings."""
    if args.stage not in SETTINGS:
        raise unknown("stage", args.stage, SETTINGS)
    words = list(args.words)
    path = words.pop(0) if words and "=" not in words[0] else None
    if stray := next((word for word in words if "=" not in word), None):
        raise UserError(f"{stray!r}: expected one recipe, then words of the form key=value")
    kind = settings_of(args.stage)
    print(text(args.stage, load_values(kind, path, words)), end="")
    return 0


def text(stage: str, values: dict[str, Value]) -> str:
    """The settings as YAML, each under its help, with where its value comes from."""
    again = "relexify pretrain THIS.yaml" if stage == "pretrain" else f"relexify {stage} --recipe THIS.yaml"
    lines = [f"# All settings of relexify {stage}. Run them: {again}"]
    for name, one in declared(settings_of(stage)).items():
        value, about = values[name], one.about
        facts = [*([about.unit] if about.unit else []), *([one.expected] if about.allowed is not None else []),
                 f"source: {about.source}"]
        lines += ["", f"# {about.help}", f"# ({'; '.join(facts)})"]
        if value.value is MISSING:
            given = f"as --{name.replace('_', '-')}" if stage != "pretrain" else f"as {name}=…"
            lines.append(f"# {name}:  # missing: write it here, or give it {given}")
        else:
            # JSON's scalars and lists are YAML's, and text in quotes is never taken for a number
            lines.append(f"{one.key}: {json.dumps(one.word(value.value), ensure_ascii=False)}  # {value.origin}")
    return "\n".join(lines) + "\n"
