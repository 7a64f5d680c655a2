"""What a training on a task and one on a mixture do alike: run the stage, export its best checkpoint, commit the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt.artefacts.embedding import Embedding
from pretrain.artefacts.body import Body
from pretrain.base.files import write_json
from pretrain.stage import Stage
from pretrain.training_log import read_curve


def make(stage: Stage, export: Callable[[Path], tuple[Body, Embedding]], measures: Sequence[str], facts: Mapping[str, Any], *,
         with_embedding: bool = False, keep: bool = False, restart: bool = False) -> Body:
    """Trains, where that is not done yet, and writes the body with `curves.json`.

    Args:
        export: makes body and embedding of the best checkpoint.
        measures: what the curve has of each validation beside the loss.
        facts: what every point of the curve says.
        with_embedding: it was trained too, and is written in `embedding`.
        keep: leave checkpoints and log in `OUTPUT.training`.
        restart: throw away an unfinished run rather than resume it.

    Raises:
        UserError: another process is making the output, or the training failed.
    """
    with stage.claimed():
        if not stage.committed:
            if restart:
                stage.discard()
            folder = stage.run()
            curve = read_curve(folder, also=list(measures))
            body, embedding = export(folder / "checkpoint_best.pt")
            with stage.artefact() as target:
                body.save(target)
                if with_embedding:
                    embedding.save(target / "embedding")
                write_json(target / "curves.json", [{**point, **facts} for point in curve])
        stage.clean_up(keep)
    return Body.load(stage.output)
