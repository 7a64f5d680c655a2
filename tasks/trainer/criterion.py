"""What the fairseq criteria of all task families share: their figures are sums, over examples, batches and processes."""

from typing import Any

from fairseq.criterions import FairseqCriterion


class FamilyCriterion(FairseqCriterion):
    """A criterion that trains one task, alone or as one of a mixture."""

    @property
    def loss(self) -> str:
        """Name of the loss: the one that a mixture says, else the task's first."""
        return getattr(self.task, "loss", "") or str(self.task.definition.losses[0])

    def sums(self, training: bool) -> tuple[str, ...]:
        """Those numbers of its logging output that `reduce_metrics` needs: the same in every batch, each a sum."""
        raise NotImplementedError

    @classmethod
    def reduce_metrics(cls, logging_outputs: list[dict[str, Any]], prefix: str = "") -> None:
        """Logs the figures of several batches.

        Args:
            prefix: of their names, in a mixture.
        """
        raise NotImplementedError

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
