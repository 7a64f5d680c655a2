"""`relexify pretrain RECIPE.yaml key=value …`"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from pretrain.base.notices import warn
from recipes.options import add_run_options

EXAMPLE = """example:
  relexify pretrain recipes/pretrain/laptop-forgetting.yaml data=data/en output=runs/en updates=4000 seed=2
  relexify pretrain recipes/pretrain/continue-standard.yaml from=models/bert data=data/en output=runs/en

`relexify config pretrain [RECIPE.yaml]` prints every setting with its help, range and source.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.add_argument("recipe", metavar="RECIPE.yaml", help="a recipe; its head comment says what it needs")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that take the place of the recipe's")
    add_run_options(parser, "--restart", "--keep-checkpoints")


def run(args: argparse.Namespace) -> int:
    from adapt.artefacts.resources import embedding_of, locate
    from adapt.artefacts.split import split
    from pretrain.base.config import load_recipe
    from pretrain.recipe import check, provenance, stage
    from pretrain.settings import NEW, PretrainRecipe
    from pretrain.start import read_start, shaped
    from pretrain.training_log import read_curve, read_training

    recipe = load_recipe(PretrainRecipe, args.recipe, args.overrides)
    start = None
    if recipe.from_body:
        beside = recipe.from_embedding
        if beside != NEW:
            beside = str(embedding_of(recipe.from_body, beside, f"from_embedding=FOLDER, or draw rows with from_embedding={NEW}"))
        recipe = replace(recipe, from_body=str(locate(recipe.from_body, "body")), from_embedding=beside)
        start = read_start(recipe.from_body, beside, recipe.data)
        recipe = shaped(recipe, start)
    for warning in check(recipe):
        warn(warning)
    training = stage(recipe, args.overwrite, args.quiet, start)
    if args.print_command:
        print(training.printed())
        return 0
    with training.claimed():
        folder = training.run()
        body = split(folder / "checkpoint_last.pt", recipe.output, recipe.data, provenance(recipe, start), read_curve(folder),
                     overwrite=args.overwrite, training=read_training(folder))
    print(f"{Path(recipe.output) / 'body'}: body {body.fingerprint[:12]}, "
          f"{sum(t.numel() for t in body.tensors.values()):,} parameters; checkpoints and log stay in {folder}")
    return 0
