"""Settings of teachers and of students; a light module, so that `--help` stays fast."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pretrain.base.settings import Range, like, setting
from tasks.settings import EvaluateSettings, FinetuneSettings

MTDNN_KD = "Liu et al. 2019, MT-DNN-KD"
HINTON = "Hinton et al. 2015, section 2"


@dataclass
class TeachSettings:
    """What teachers say of the examples of a split, in one file."""

    body: tuple[str, ...] = setting(MISSING, "task body that teaches; repeatable: the outputs of several are averaged", MTDNN_KD,
                                    unit="folder")
    data: str = like(FinetuneSettings, "data", MISSING, part="")
    output: str = setting(MISSING, "the file, .parquet", unit="file")
    embedding: tuple[str, ...] = setting((), "embedding of the language that the teachers read (default: the one beside the "
                                         "body); one for all, or one for each body in their order", unit="folder")
    task: str = like(EvaluateSettings, "task", help="the task that is taught")
    split: str = setting("train", "split whose examples are read", unit="name")
    train_files: tuple[str, ...] = like(FinetuneSettings, "train_files", help="file of these examples, instead of a search in "
                                        "the data; repeatable", part="")
    source_language: str = like(FinetuneSettings, "source_language", help="language of the examples (default: the embedding's)",
                                part="")
    student_language: str = setting("", "language of a student that reads the same examples in translation (default: the "
                                    "language that the teachers read)", unit="name")
    student_files: tuple[str, ...] = setting((), "file of the same examples, row by row, in the student's language, instead of "
                                             "a search in the data; repeatable", unit="files")
    average: str = setting("probabilities", "what is averaged over several teachers: probabilities, or logits", MTDNN_KD,
                           allowed=("probabilities", "logits"))
    temperature: float = setting(1.0, "temperature T of the probabilities, softmax(logits / T)", HINTON, "factor",
                                 Range(0, 1000, above=True))
    max_length: int = like(EvaluateSettings, "max_length")
    stride: int = like(EvaluateSettings, "stride")
    max_question: int = like(EvaluateSettings, "max_question")
    device: str = like(EvaluateSettings, "device")
    max_tokens: int = like(EvaluateSettings, "max_tokens")
    precision: str = like(EvaluateSettings, "precision")
    threads: int = like(EvaluateSettings, "threads")
