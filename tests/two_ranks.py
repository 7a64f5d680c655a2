"""Run by torchrun in a test: trains on two gloo ranks with forgetting and writes what each rank holds at the end."""

import json
import os
import sys
from pathlib import Path

import torch

torch.set_num_threads(1)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairseq import options  # noqa: E402
from fairseq.dataclass.utils import convert_namespace_to_omegaconf  # noqa: E402
from fairseq.distributed import utils as distributed  # noqa: E402
from fairseq.trainer import Trainer  # noqa: E402
from fairseq_cli.train import main  # noqa: E402

import pretrain.trainer.plugin  # noqa: E402, F401
from pretrain import forgetting  # noqa: E402
from tests.training import PRETRAIN, QUIET, words  # noqa: E402

data, output, *more = sys.argv[1:]
changed = json.loads(more[0]) if more else {}
resets = 0
held = []
reset, build = forgetting.reset, Trainer.__init__


def counted(*args, **kwargs):
    global resets
    resets += 1
    return reset(*args, **kwargs)


def remember(self, *args, **kwargs):
    build(self, *args, **kwargs)
    held.append(self)


forgetting.reset = counted
Trainer.__init__ = remember
# given outright: without a GPU fairseq would not look at torchrun's environment
ranks = {"distributed-world-size": os.environ["WORLD_SIZE"], "distributed-rank": os.environ["RANK"],
         "distributed-init-method": "env://", "distributed-no-spawn": True, "distributed-backend": "gloo",
         "ddp-backend": "legacy_ddp"}
argv = [data, "--save-dir", output, *words({**QUIET, **PRETRAIN, **ranks, "forget-every": 10, "dropout": 0.1, **changed})]
args = options.parse_args_and_arch(options.get_training_parser(), argv)
distributed.call_main(convert_namespace_to_omegaconf(args), main)
trainer = held[-1]
state = {"model": dict(trainer.get_model().state_dict()), "optimizer": trainer.optimizer.state_dict()["state"],
         "resets": resets}
torch.save(state, Path(output) / f"rank{trainer.data_parallel_rank}.pt")
