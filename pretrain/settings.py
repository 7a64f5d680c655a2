"""Settings of one pre-training; a light module, so that `--help` stays fast.

Settings that other stages have too are declared here, and there by `like`.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pretrain import choices
from pretrain.base.settings import (
    BETAS,
    DROPOUT,
    LONG,
    MAYBE_UPDATES,
    SEED,
    SHARE,
    UPDATES,
    WEIGHT,
    Range,
    names_of,
    setting,
)

CHEN = "Chen et al. 2023, section 3"
CHEN_TABLE = "Chen et al. 2023, table of hyper-parameters"
CLARK = "Clark et al. 2020, §2"
CLARK_TABLE = "Clark et al. 2020, appendix A"
HAO = "Hao et al. 2021"
LIU = "Liu et al. 2019"
HE = 'He et al. 2021, "DeBERTaV3"'


NEW = "new"
"""The embedding to go on with whose rows are drawn."""


@dataclass
class PretrainRecipe:
    """One pre-training run. Defaults are for a laptop; the paper's own are in recipes/pretrain/roberta-base-forgetting.yaml."""

    data: str = setting(MISSING, "folder written by `relexify prepare`", unit="folder")
    output: str = setting(MISSING, "where the run's `body` and `embedding` will stand", unit="folder")
    from_body: str = setting("", "a body to go on from, with its shape: an output of pretrain or import, or a folder of a body; "
                             "empty: begin with drawn weights", unit="folder", part="start", unset=True, key="from")
    from_embedding: str = setting("", "the embedding to go on with; empty: the one beside that body; new: rows drawn anew",
                                  unit="folder", part="start", unset=True)
    head_only_updates: int = setting(0, "of a body to go on from, only the heads learn for so many updates",
                                     unit="updates", allowed=MAYBE_UPDATES, part="head", unset=True)
    arch: str = setting("roberta_tiny", "family and size of the body", LIU + "; " + CLARK_TABLE, allowed=choices.ARCHES)
    layers: int = setting(0, "number of layers; 0: as the size has it", LIU, "layers", Range(0, 1000), part="shape",
                          trainer="encoder_layers", trainer_default=12, unset=True)
    width: int = setting(0, "width of the layers; 0: as the size has it", LIU, "dimensions", Range(0, 65_536), part="shape",
                         trainer="encoder_embed_dim", trainer_default=768, unset=True)
    heads: int = setting(0, "attention heads; 0: as the size has it", LIU, "heads", Range(0, 1024), part="shape",
                         trainer="encoder_attention_heads", trainer_default=12, unset=True)
    ffn: int = setting(0, "inner width of the feed-forward layers; 0: as the size has it", LIU, "dimensions", Range(0, 262_144),
                       part="shape", trainer="encoder_ffn_embed_dim", trainer_default=3072, unset=True)
    embedding_width: int = setting(0, "width of the token embedding; 0: as the size has it, else as the layers", CLARK_TABLE,
                                   "dimensions", Range(0, 65_536), part="shape", trainer="token_embed_dim", unset=True)
    relative_buckets: int = setting(0, "buckets of the relative-position bias; 0: off", "Raffel et al. 2020, §2.1", "buckets",
                                    Range(4, 4096, also=(0,)), part="shape", unset=True)
    segments: int = setting(0, "2: another vector for the tokens after a drawn </s> of a block, as for a pair's second text; "
                            "0: 1, or as the body to go on from", "Devlin et al. 2019, §3.1", "vectors", Range(1, 2, also=(0,)),
                            part="shape", trainer_default=1, unset=True)
    tokens_per_sample: int = setting(128, "length of a block, <s> included", CHEN_TABLE, "tokens", Range(4, 1_000_000),
                                     part="blocks", trainer_default=512)
    max_positions: int = setting(0, "longest input of the body; 0: as tokens_per_sample", LIU, "tokens", Range(0, 1_000_000),
                                 part="shape", trainer_default=512, unset=True)
    batch_size: int = setting(16, "blocks of a micro-batch, per device", CHEN_TABLE, "blocks", Range(1, 1_000_000))
    update_freq: int = setting(1, "micro-batches of an update", CHEN_TABLE, "micro-batches", Range(1, 1_000_000))
    updates: int = setting(2000, "length of the run", CHEN_TABLE, "updates", UPDATES)
    lr: float = setting(1e-3, "peak learning rate", CHEN_TABLE, "", Range(0, 100, above=True))
    warmup: int = setting(100, "linear warm-up from 0 over so many updates; then linear decay to 0", CHEN_TABLE, "updates",
                          MAYBE_UPDATES, part="schedule", trainer="warmup_updates", trainer_default=0)
    embedding_lr_scale: float = setting(1.0, "the embedding's learning rate as a multiple of the body's, in every arm, within "
                                        "episodes and outside; with forget_scope=embedding+bias the output bias's too",
                                        unit="", allowed=Range(0, 1000, above=True), part="scale")
    weight_decay: float = setting(0.01, "decoupled weight decay", "Loshchilov and Hutter 2019; " + CHEN_TABLE, "", Range(0, 100),
                                  part="adam")
    decay_all: bool = setting(False, "decay biases and LayerNorms too, as fairseq's adam (and so the paper) does", CHEN_TABLE,
                              part="adam")
    adam_betas: str = setting("(0.9, 0.98)", "betas of Adam", CHEN_TABLE, allowed=BETAS, part="adam")
    adam_eps: float = setting(1e-6, "epsilon of Adam", CHEN_TABLE, "", Range(0, 1, above=True), part="adam")
    clip_norm: float = setting(0.5, "ceiling of the global gradient norm; 0: none. The same in both arms (the paper clipped the "
                               "forgetting arm only)", CHEN_TABLE, "", WEIGHT)
    dropout: float = setting(0.1, "dropout of embeddings and layer outputs", CHEN_TABLE, "share", DROPOUT, part="training")
    attention_dropout: float = setting(0.1, "dropout of attention weights", CHEN_TABLE, "share", DROPOUT, part="training")
    mask_prob: float = setting(0.15, "share of a block's tokens that are hidden", "Devlin et al. 2019, §3.1", "share",
                               Range(0, 1, above=True, below=True), part="blocks")
    mask_policy: str = setting("bert", "what hidden tokens become (masked/kept/random in per cent): bert (80/10/10), electra "
                               "(85/15/0) or mask (100/0/0)", "Devlin et al. 2019, §3.1; " + CLARK_TABLE,
                               allowed=tuple(choices.POLICIES), part="blocks")
    focal_gamma: float = setting(0.0, "focal loss of the masked language model in training: weight (1 - p)^gamma; 0: cross "
                                 "entropy", "Lin et al. 2017, eq. 4; " + HAO, "", Range(0, 100), part="focal", unset=True)
    precision: str = setting("fp32", "fp32, bf16 or fp16: autocast with fp32 master weights", CHEN_TABLE,
                             allowed=choices.PRECISIONS, part="training")
    compile: bool = setting(False, "torch.compile the encoder", part="training")
    forget_every: int = setting(0, "K: reset the embedding every so many updates; 0: never, a standard run; 1: with "
                                "forget_reset=rotate alone", CHEN, "updates", Range(0, LONG), part="forgetting")
    forget_start: int = setting(0, "no episode begins before so many updates", unit="updates", allowed=MAYBE_UPDATES,
                                part="forgetting", unset=True)
    forget_until: int = setting(0, "temporary forgetting: no reset after so many updates; 0: no end", unit="updates",
                                allowed=MAYBE_UPDATES, part="forgetting", unset=True)
    forget_reset: str = setting("normal", "normal: N(0, 0.02); gaussian: the table's mean and sd; permute: its rows change "
                                "places; rotate: forget_tables tables take turns; none: matched control with episodic learning "
                                "rate and no reset", CHEN, allowed=choices.RESETS, part="forgetting")
    forget_share: float = setting(1.0, "share of the pieces' rows that a reset covers, drawn anew each time; below 1 the special "
                                  "tokens' rows stay", unit="share", allowed=Range(0, 1, above=True), part="forgetting")
    forget_tables: int = setting(0, "with forget_reset=rotate: tables that take turns, none is thrown away", unit="tables",
                                 allowed=Range(2, 1000, also=(0,)), part="forgetting", unset=True)
    forget_hold: int = setting(0, "for so many updates after each reset the body does not move", unit="updates",
                               allowed=MAYBE_UPDATES, part="forgetting", unset=True)
    forget_warmup: float = setting(0.0, "share of an episode in which the embedding's rate rises from 0; 0: the share that the "
                                   "body's warm-up has of the run", CHEN, "share", Range(0, 1, below=True), part="forgetting",
                                   unset=True)
    forget_scope: str = setting("embedding", "what follows the embedding's learning rate and is reset with it: embedding (paper) "
                                "or embedding+bias", CHEN, allowed=choices.SCOPES, part="scope")
    forget_bias: str = setting("", "whether a reset sets the output bias to zero, whatever its rate: reset or keep; empty: as "
                               "forget_scope says", CHEN, allowed=choices.BIAS_RESETS, part="forgetting", unset=True)
    validate_every: int = setting(500, "updates between validations, each of which also writes a checkpoint to resume from",
                                  CHEN_TABLE, "updates", UPDATES)
    epoch_blocks: int = setting(0, "repeat small data within an epoch up to so many blocks (newly shuffled and masked), so that "
                                "fairseq does not restart its iterator every few updates; 0: off", unit="blocks",
                                allowed=Range(0, LONG), part="blocks", unset=True)
    seed: int = setting(1, "seed of all draws: weights, resets, masks and order", unit="", allowed=SEED)
    processes: int = setting(1, "GPUs of a machine, started by torchrun; 1: no launcher", unit="GPUs", allowed=Range(1, 1024))
    nodes: int = setting(1, "machines of a Slurm allocation (srun starts torchrun on each)", unit="machines",
                         allowed=Range(1, 65_536))
    threads: int = setting(0, "CPU threads; 0: torch's choice", unit="threads", allowed=Range(0, 4096))
    tensorboard: str = setting("", "folder for TensorBoard logs; empty: none", unit="folder")
    # ELECTRA alone
    generator: str = setting("network", "source of replacements: network, or without a generator uniform or unigram", CLARK,
                             allowed=choices.SOURCES, part="pair")
    generator_width: float = setting(0.0, "width, feed-forward width and heads of the generator as a multiple of the "
                                     "discriminator's; 0: as the size has it", CLARK_TABLE, "", Range(0, 16), part="pair",
                                     trainer_default=0.25, unset=True)
    generator_depth: float = setting(1.0, "layers of the generator as a multiple", CLARK_TABLE, "", Range(0, 16, above=True),
                                     part="pair")
    tying: str = setting("embedding", "shared by the networks: none, token (the table), embedding (table, positions, LayerNorm), "
                         "all, or gdes (tables without the discriminator's gradient)", f"{CLARK}; {HE}", allowed=choices.TYINGS,
                         part="pair")
    rtd_weight: float = setting(50.0, "lambda, weight of the discriminator's loss", CLARK, "", WEIGHT, part="game")
    rtd_start: int = setting(0, "the discriminator does not learn for so many updates", unit="updates", allowed=MAYBE_UPDATES,
                             part="game")
    rtd_warmup: int = setting(0, "then lambda rises linearly over so many updates", unit="updates", allowed=MAYBE_UPDATES,
                              part="game")
    rtd_episode_warmup: int = setting(-1, "after each reset lambda rises again over so many updates; -1: a tenth of an episode",
                                      unit="updates", allowed=Range(0, LONG, also=(-1,)), part="game")
    sampling_temperature: float = setting(1.0, "divides the generator's logits when sampling", HAO, "",
                                          Range(0, 1e6, above=True), part="game")
    disallow_correct: bool = setting(False, "never sample the original token", CLARK, part="game")
    hardness_head: str = setting("none", "a second head of the generator that chooses replacements: none, loss (HP-Loss) or dist "
                                 "(HP-Dist)", HAO, allowed=choices.HARDNESS_HEADS, part="pair")
    hardness_loss: str = setting("bce", "HP-Loss: bce (soft target) or mse", HAO, allowed=choices.HARDNESS_LOSSES, part="game")
    hardness_weight: float = setting(1.0, "weight of the hardness head's loss", HAO, "", WEIGHT, part="game")
    hardness_clip: float = setting(10.0, "ceiling of importance weights; 0: none", HAO, "", WEIGHT, part="game")
    hardness_mixture: float = setting(0.1, "share of the generator's own distribution when sampling by hardness", HAO, "share",
                                      SHARE, part="game")
    hardness_start: int = setting(0, "sample from the generator for so many updates, at first and after each reset",
                                  unit="updates", allowed=MAYBE_UPDATES, part="game")
    hardness_detach: bool = setting(False, "the hardness head trains nothing but itself", HAO, part="game")
    disc_weighting: str = setting("none", "importance weights of the discriminator's loss at hidden positions: none, is or "
                                  "is-clipped", HAO, allowed=choices.WEIGHTINGS, part="game")
    clip_per_network: bool = setting(False, "clip the gradients of generator, discriminator and what they share each by its own "
                                     "norm", part="adam")


ELECTRA_ONLY = (*names_of(PretrainRecipe, "pair", "game"), "clip_per_network")
"""Settings that another architecture has no use for."""
