"""Settings of one task adaptation; a light module, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pretrain.base.settings import Range, like, setting
from pretrain.settings import CHEN, CLARK_TABLE, PretrainRecipe

DEVLIN_QA = "Devlin et al. 2019, published code (run_squad)"
VARIANTS = {"paper": 1, "official": 2}
"""Layer-wise decay: how far the task head stands above the last layer, see `tasks.learning.layer_decay`."""


@dataclass
class FinetuneSettings:
    """One task adaptation. The paper's own for NLI: 10 epochs of 32 pairs, lr 1e-5, best English dev accuracy.

    For question answering its windows are 384 tokens with a step of 128, questions cut to 64.
    """

    body: str = setting(MISSING, "pre-trained body: an output of pretrain, or a body folder", CHEN, "folder", part="task",
                        trainer_default="")
    data: str = setting(MISSING, "folder with the task's files, or hf:facebook/xnli, hf:rajpurkar/squad", unit="folder")
    output: str = setting(MISSING, "where the task body will stand", unit="folder")
    embedding: tuple[str, ...] = setting((), "embedding of the examples' language (default: the one beside the body); stays as "
                                         "it is; repeatable: examples in the language of each", CHEN, "folder", part="task",
                                         unset=True)
    task: str = setting("xnli", "the task to learn: xnli, GLUE's cola sst2 mrpc qqp stsb mnli qnli rte wnli, snli, "
                        "scitail, anli, pawsx; squad, squad2, tydiqa; panx, udpos, conll2000, conll", CHEN, "name",
                        part="task", trainer="task_name")
    language_sampling: str = setting("proportional", "several training languages: proportional, each example once an epoch, or "
                                     "equal, as many batches of each language in turn", allowed=("proportional", "equal"),
                                     part="languages")
    train_files: tuple[str, ...] = setting((), "file of the train split, instead of a search in the data; repeatable; of several "
                                           "languages CODE=FILE", unit="files", part="task", unset=True)
    dev_files: tuple[str, ...] = setting((), "file of the dev split, instead of a search in the data; repeatable; of several "
                                         "languages CODE=FILE", unit="files", part="task", unset=True)
    source_language: str = setting("", "language of the examples (default: the embedding's)", CHEN, "name", part="task",
                                   unset=True)
    dev_split: str = setting("dev", "split that chooses the best checkpoint", CHEN, "name", part="task")
    epochs: float = setting(10.0, "passes over the training examples", CHEN, "epochs", Range(0, 1e6, above=True))
    updates: int = like(PretrainRecipe, "updates", 0, help="length of the run in updates; 0: as the epochs say",
                        allowed=Range(0, 10**9))
    lr: float = like(PretrainRecipe, "lr", 0.0, allowed=Range(0, 100), source=CHEN,
                     help="peak learning rate; 0: 1e-5 for bodies of width >= 768, 5e-5 >= 384, else 5e-4")
    warmup: float = like(PretrainRecipe, "warmup", 0.06, unit="share or updates", part="", source="Liu et al. 2019, appendix C",
                         help="share of the run (below 1), or number of updates, of warm-up")
    batch_size: int = like(PretrainRecipe, "batch_size", 32, unit="examples", source=CHEN, help="examples of a micro-batch")
    update_freq: int = like(PretrainRecipe, "update_freq")
    max_length: int = setting(0, "longest input; 0: all positions of the body, at most 384 for question answering", DEVLIN_QA,
                              "tokens", Range(0, 1_000_000), part="task", unset=True)
    head: str = setting("", "classification (RoBERTa's, two layers), linear (ELECTRA's, one layer) or san (steps of reasoning "
                        "over a pair, MT-DNN's); for questions span (start and end) or joint_span (end given start, and "
                        "answerability); tagging has one of its own; default: the task's own",
                        "Liu et al. 2019; " + CLARK_TABLE, "name", part="task", unset=True)
    labels: str = setting("", "for --task conll: file with one label a line, in the order that the head shall have", unit="file",
                          part="task", unset=True)
    stride: int = setting(0, "question answering: context tokens from window to window; 0: 128, less in short windows", DEVLIN_QA,
                          "tokens", Range(0, 1_000_000), part="task", unset=True)
    max_question: int = setting(0, "question answering: tokens kept of a question; 0: 64, less in short windows", DEVLIN_QA,
                                "tokens", Range(0, 1_000_000), part="task", unset=True)
    share: float = setting(1.0, "share of the training examples to learn from, such as 0.001, 0.01, 0.1 (few-shot)",
                           "Liu et al. 2019, MT-DNN, table 7", "share", Range(0, 1, above=True), part="task")
    share_seed: int = setting(1, "with --share: which ones; of one seed a smaller share lies within every larger one",
                              allowed=Range(0, 2**31 - 1), part="task")
    teacher: str = setting("", "learn from what teachers say of the training examples: a file of relexify teach "
                           "(docs/distillation.md)", "Liu et al. 2019, MT-DNN-KD", "file", part="task", unset=True)
    distillation_loss: str = setting("", "with --teacher: soft-ce, kl or logit-mse; for a regression mse (default: soft-ce, mse)",
                                     "Liu et al. 2019, MT-DNN-KD", allowed=("", "soft-ce", "kl", "logit-mse", "mse"), part="task",
                                     unset=True)
    alpha: float = setting(0.0, "with --teacher: share of the loss on hard labels beside the teacher's; 0: none, examples then "
                           "need no labels", "Hinton et al. 2015, section 2", "share", Range(0, 1), part="task")
    temperature: float = setting(0.0, "with --teacher: temperature T of soft-ce and kl, whose loss is multiplied by T²; 0: the "
                                 "file's", "Hinton et al. 2015, section 2", "factor", Range(0, 1000), part="task", unset=True)
    train_embedding: bool = setting(False, "train the embedding too (other embeddings then fit the body less well); it is "
                                    "written to OUTPUT/embedding", part="task")
    dropout: float = like(PretrainRecipe, "dropout", help="dropout, also of the head")
    attention_dropout: float = like(PretrainRecipe, "attention_dropout")
    weight_decay: float = like(PretrainRecipe, "weight_decay")
    clip_norm: float = like(PretrainRecipe, "clip_norm", 0.0, help="ceiling of the global gradient norm; 0: none")
    layer_decay: float = setting(1.0, "learning rate of each layer as a share of that of the layer above, the head's being --lr "
                                 "(ELECTRA: 0.8; 0.9 for its large model); 1: off", CLARK_TABLE, "share", Range(0, 1, above=True),
                                 part="decay")
    layer_decay_variant: str = setting("paper", "what the last layer has: paper (decay) or official (decay squared, as ELECTRA's "
                                       "code)", CLARK_TABLE, allowed=tuple(VARIANTS), part="decay")
    adam_betas: str = like(PretrainRecipe, "adam_betas", help="betas of Adam; ELECTRA: '(0.9, 0.999)'")
    adam_eps: float = like(PretrainRecipe, "adam_eps")
    validate_every: int = like(PretrainRecipe, "validate_every", 0, allowed=Range(0, 10**9), source="ours",
                               help="updates between validations (and checkpoints to resume from); 0: twice an epoch, at least "
                               "ten times a run")
    precision: str = like(PretrainRecipe, "precision")
    compile: bool = like(PretrainRecipe, "compile")
    seed: int = like(PretrainRecipe, "seed", help="seed of head, dropout and order")
    threads: int = like(PretrainRecipe, "threads")
    cpu: bool = setting(False, "train on the CPU although there is a GPU")
    tensorboard: str = like(PretrainRecipe, "tensorboard")

    def __post_init__(self) -> None:
        """A single embedding may be given as a text: in Python that is what it has always been."""
        if isinstance(self.embedding, str):
            self.embedding = (self.embedding,) if self.embedding else ()


@dataclass
class EvaluateSettings:
    """One evaluation of a task body in the languages of several embeddings."""

    body: str = setting(MISSING, "task body, as finetune writes it", unit="folder")
    embedding: tuple[str, ...] = setting(MISSING, "an embedding of the body's lineage, or an output of adapt or pretrain; "
                                         "repeatable", CHEN, unit="folder")
    data: str = setting(MISSING, "folder with the task's files, or hf:facebook/xnli; of several tasks also their mixture's file",
                        unit="folder")
    output: str = setting(MISSING, "folder for results and predictions", unit="folder")
    task: str = setting("xnli", "the task; of a body of several, without it: all of them", CHEN, "name")
    split: str = setting("test", "split to score: dev or test", unit="name")
    device: str = setting("auto", "auto, cpu or cuda", unit="name")
    max_tokens: int = setting(8192, "padded tokens of a batch: changes memory and speed, not scores", unit="tokens",
                              allowed=Range(1, 10**9))
    max_length: int = like(FinetuneSettings, "max_length", help="longest input in tokens; 0: all positions of the body, or for "
                           "question answering as fine-tuned")
    pairs: str = setting("same", "mlqa: same, or all pairs of context and question language; retrieval: same is each further "
                         "language with the first, all every two", "Lewis et al. 2020, MLQA",
                         allowed=("same", "all"))
    stride: int = like(FinetuneSettings, "stride", help="question answering: context tokens from window to window; 0: as "
                       "fine-tuned")
    max_question: int = like(FinetuneSettings, "max_question", help="question answering: tokens kept of a question; 0: as "
                             "fine-tuned")
    max_answer_tokens: int = setting(30, "question answering: longest answer", DEVLIN_QA, "tokens", Range(1, 1_000_000))
    untrained_head: bool = setting(False, "question answering, tagging: a baseline: the body under a head never trained")
    layer: int = setting(-1, "retrieval: layer whose states, averaged over the tokens, are a sentence's vector: 1 the first, "
                         "-1 the last", "ours", "layers", Range(-1000, 1000))
    neighbours: int = setting(10, "retrieval: how many nearest sentences make the margin (CSLS)", "Conneau et al. 2018, CSLS",
                              "sentences", Range(1, 1_000_000))
    precision: str = like(PretrainRecipe, "precision")
    threads: int = like(PretrainRecipe, "threads")


def default_lr(width: int) -> float:
    """1e-5 as in the paper from width 768 on; small bodies need more."""
    return 1e-5 if width >= 768 else 5e-5 if width >= 384 else 5e-4
