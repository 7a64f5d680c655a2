"""Settings of one language adaptation; a light module, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pretrain import choices
from pretrain.base.errors import UserError
from pretrain.base.settings import LONG, POINTS, Range, like, points, setting
from pretrain.settings import CHEN, CHEN_TABLE, HE, PretrainRecipe

OBJECTIVES = ("mlm", "rtd", "joint")
SPECIAL_ROWS = ("copy", "draw")
OR_A_TENTH = Range(0, LONG, also=(-1,))


@dataclass
class AdaptSettings:
    """One language adaptation. The paper's own setting: 125,000 updates of 2048 x 512 tokens, lr 7e-4."""

    body: str = setting(MISSING, "body to adapt to: an output of pretrain, or a body folder", CHEN, "folder", part="adapt",
                        trainer_default="")
    data: str = setting(MISSING, "prepared text of the new language (see `relexify prepare`)", CHEN, "folder")
    output: str = setting(MISSING, "where the embedding will stand", unit="folder")
    source_embedding: str = setting("", "embedding of the source language; default: the one beside the body", CHEN, "folder",
                                    part="adapt", unset=True)
    initialiser: str = setting("random", "how the new rows begin: random, mean, gaussian, script, frequency, overlap, "
                               "subword-mean, lexicon, focus, wechsel or ofa, see docs/initialisers.md", "Artetxe et al. 2020",
                               "name", part="adapt")
    special_rows: str = setting("copy", "copy the rows of <s> </s> <unk> <mask> from the source, or draw them too", CHEN,
                                allowed=SPECIAL_ROWS, part="adapt")
    resources: str = setting("", "local files for the initialiser: name=path,name=path", unit="files", part="adapt", unset=True)
    train_also: str = setting("", "further tensors to train, as patterns: encoder.embed_positions.weight,encoder.embed_norm.*",
                              "Artetxe et al. 2020", "patterns", part="adapt", unset=True)
    objective: str = setting("", "of an ELECTRA body: mlm (through the generator; its default), rtd (through the discriminator) "
                             "or joint", "docs/electra.md", allowed=("", *OBJECTIVES), part="adapt")
    disentangle: bool = setting(False, "joint: the discriminator's table is the generator's plus an offset, each trained by its "
                                "own loss", HE, part="adapt")
    rtd_weight: float = like(PretrainRecipe, "rtd_weight", -1.0, allowed=Range(0, 1e6, also=(-1,)),
                             help="lambda, weight of the discriminator's loss; -1: as in pre-training")
    rtd_start: int = like(PretrainRecipe, "rtd_start", help="joint: updates before the discriminator takes part")
    rtd_warmup: int = like(PretrainRecipe, "rtd_warmup", -1, allowed=OR_A_TENTH,
                           help="then lambda rises linearly over so many updates; -1: a tenth of the run")
    updates: int = like(PretrainRecipe, "updates", help="most updates to run")
    lr: float = like(PretrainRecipe, "lr", 0.0, help="peak learning rate; auto: found by a short test on the text, see "
                     "docs/adaptation.md", allowed=Range(0, 100, above=True, also=(0,)), named=(("auto", 0.0),))
    warmup: int = like(PretrainRecipe, "warmup", -1, allowed=OR_A_TENTH, help="updates of warm-up; -1: a tenth of the run")
    batch_size: int = like(PretrainRecipe, "batch_size")
    update_freq: int = like(PretrainRecipe, "update_freq")
    tokens_per_sample: int = like(PretrainRecipe, "tokens_per_sample")
    mask_prob: float = like(PretrainRecipe, "mask_prob")
    mask_policy: str = like(PretrainRecipe, "mask_policy", "", allowed=("", *choices.POLICIES),
                            help="what hidden tokens become: bert, electra or mask; empty: as in pre-training")
    dropout: float = like(PretrainRecipe, "dropout", help="dropout, as in pre-training")
    attention_dropout: float = like(PretrainRecipe, "attention_dropout")
    clip_norm: float = like(PretrainRecipe, "clip_norm", help="ceiling of the global gradient norm; 0: none")
    weight_decay: float = like(PretrainRecipe, "weight_decay")
    patience: int = setting(0, "stop after so many validations without a better held-out loss; 0: run to the end", CHEN_TABLE,
                            "validations", Range(0, LONG))
    validate_every: int = like(PretrainRecipe, "validate_every", 100,
                               help="updates between validations (and checkpoints to resume from)")
    save_embeddings_at: str = setting("", "also save the embedding at these updates: 100,300,1000", CHEN_TABLE, "updates", POINTS,
                                      part="adapt", unset=True)
    budgets: str = setting("", "instead of --updates: a run of its own for each of these numbers of updates, 30,60,120,300, each "
                           "from the same start and with its learning rate brought down to 0 in the end", unit="updates",
                           allowed=POINTS, part="adapt", unset=True)
    precision: str = like(PretrainRecipe, "precision")
    compile: bool = like(PretrainRecipe, "compile")
    seed: int = like(PretrainRecipe, "seed", help="seed of draws, masks and order")
    processes: int = like(PretrainRecipe, "processes")
    nodes: int = like(PretrainRecipe, "nodes")
    threads: int = like(PretrainRecipe, "threads")
    tensorboard: str = like(PretrainRecipe, "tensorboard")

    @property
    def tokens_per_update(self) -> int:
        return self.batch_size * self.update_freq * self.tokens_per_sample * self.processes * self.nodes


def check_budgets(settings: AdaptSettings) -> None:
    """Refuses settings that do not go with several budgets."""
    if not settings.budgets:
        return
    least = Range(2, LONG)
    if short := [one for one in points(settings.budgets) if not least.holds(one)]:
        raise UserError(f"--budgets {settings.budgets}: got {short[0]}, expected {least.text(int)}")
    if settings.updates not in (max(points(settings.budgets)), AdaptSettings.updates):
        raise UserError(f"--updates {settings.updates} with --budgets {settings.budgets}: the budgets say how long the runs are; "
                        "leave --updates out")
    for name, value in (("--save-embeddings-at", settings.save_embeddings_at), ("--patience", settings.patience)):
        if value:
            raise UserError(f"{name} {value} with --budgets {settings.budgets}: every budget is a run to its end whose embedding "
                            "is kept; leave one of them out")


def check_points(text: str, updates: int) -> None:
    """Refuses points of `--save-embeddings-at` that a run of so many updates does not pass."""
    if late := [point for point in points(text) if point >= updates]:
        raise UserError(f"--save-embeddings-at {text}: got {', '.join(map(str, late))}, expected numbers below the {updates} "
                        "updates of the run, whose own embedding is the output")
