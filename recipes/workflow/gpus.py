"""Which GPUs a cell on this machine sees: as many as its stage asks for, none that another cell of the run has."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from pretrain.base.errors import UserError
from pretrain.base.locks import try_lock

POLL = 0.1


def visible() -> list[str]:
    """The GPUs of this machine by the names that CUDA_VISIBLE_DEVICES takes."""
    import torch

    count = torch.cuda.device_count()
    given = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return given[:count] or [str(number) for number in range(count)]


def to_share(asked: Mapping[str, int]) -> list[str] | None:
    """The GPUs that cells share; None where no stage asks for any, and every cell sees what it always would.

    Args:
        asked: stage -> GPUs, of the stages that are to run.

    Raises:
        UserError: a stage asks for more than there are.
    """
    if not any(asked.values()):
        return None
    found = visible()
    for stage, count in asked.items():
        if count > len(found):
            raise UserError(f"resources.{stage}.gpus {count}: this machine shows {len(found)}; ask for fewer (0: on the CPU), or "
                            "name a cluster's --profile")
    return found


@contextmanager
def taken(folder: Path, names: Sequence[str], count: int,
          waiting: Callable[[], None]) -> Iterator[tuple[list[str], list[IO[Any]]]]:
    """Holds `count` of the GPUs; gives their names, and the locks for children to inherit.

    Cells never wait for each other in a circle: Snakemake starts no more than ask for all GPUs together. A lock may be held a
    moment longer than its cell by what that started.

    Args:
        waiting: called while there are too few.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        locks = {name: opened.enter_context(open(folder / name.replace("/", "_"), "ab")) for name in names}
        mine: dict[str, IO[Any]] = {}
        while True:
            for name in names:
                if len(mine) < count and name not in mine and try_lock(locks[name]):
                    mine[name] = locks[name]
            if len(mine) == count:
                break
            waiting()
            time.sleep(POLL)
        yield [name for name in names if name in mine], list(mine.values())
