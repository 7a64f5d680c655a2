"""A value for one or two texts: a head of one output, squared error, correlations as scores (Liu et al. 2019, MT-DNN).

The output has the unit of the data: no activation follows it. A body's record calls it by one label, `score`. What computes is in
`tasks.classification.regression_family` and `regression_parts`, so that naming the tasks needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pretrain.base.errors import UserError
from tasks.classification.columns import Table
from tasks.classification.examples import Available, Loaded, Reader
from tasks.definition import Definition, OneOutput, missing_data


@dataclass(frozen=True, kw_only=True)
class RegressionTask(OneOutput, Definition):
    """A value for one or two texts.

    Attributes:
        span: least and greatest value; a submission is clipped to it.
        reader, available: as of `ClassificationTask`; examples carry `value`.
        further: of `tasks.classification.metrics.CORRELATIONS`, recorded beside Pearson's.
    """

    span: tuple[float, float]
    reader: Reader | Table
    available: Available
    further: tuple[str, ...] = ("spearman",)
    heads: tuple[str, ...] = ("classification", "linear")
    metric: str = "pearson"
    criterion: str = "modular_regression"
    trainer = "tasks.trainer.regression"
    parts = "tasks.classification.regression_parts"
    losses = ("mse", "mae")

    def read(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Loaded:
        """The examples with their values, see `Definition.read`; values that were stripped are an error too."""
        loaded = self.unlabelled(data, split, language, files)
        where = ", ".join(loaded.files)
        if not loaded.examples:
            raise UserError(f"{where}: no examples for {split}; the file is empty or holds other languages only")
        without = [item.id for item in loaded.examples if item.value is None]
        if without:
            raise UserError(f"{where}: {len(without):,} of {len(loaded):,} rows have no value (first: id {without[0]}); if the "
                            f"values of this {split} file were stripped, take the official file, which has them")
        if len(loaded) > 1 and len({item.value for item in loaded.examples}) == 1:
            raise UserError(f"{where}: all {len(loaded):,} values are {loaded.examples[0].value:g}; nothing correlates with "
                            "a constant")
        return loaded

    def unlabelled(self, data: str | Path, split: str, language: str, files: Sequence[str | Path] = ()) -> Loaded:
        """As `read`, of a split whose values were never published."""
        return self.reader(str(data), split, self.check(split, language), [str(file) for file in files])

    def missing(self, data: str, split: str, language: str, tried: Sequence[str]) -> UserError:
        """The error for a language whose file is not there, see `missing_data`."""
        return missing_data(self.name, data, split, language, self.available(data, split), tried[:4])
