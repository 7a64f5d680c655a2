"""Run by torchrun in a test: trains on two gloo ranks with forgetting and writes what each rank did and holds at the end.

Arguments: the prepared text, the folder to write, and a JSON object: name of a run -> its options. Each has a folder of its own.
"""

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
from fairseq_cli.train import main  # noqa: E402

import pretrain.trainer.plugin  # noqa: E402, F401
from tests.training import PRETRAIN, QUIET, forget_earlier_runs, recorded, words  # noqa: E402

data, output, runs = sys.argv[1:]
# given outright: without a GPU fairseq would not look at torchrun's environment
ranks = {"distributed-world-size": os.environ["WORLD_SIZE"], "distributed-rank": os.environ["RANK"],
         "distributed-init-method": "env://", "distributed-no-spawn": True, "distributed-backend": "gloo",
         "ddp-backend": "legacy_ddp"}
for name, changed in json.loads(runs).items():
    folder = Path(output) / name
    argv = [data, "--save-dir", str(folder), *words({**QUIET, **PRETRAIN, **ranks, "forget-every": 10, **changed})]
    args = options.parse_args_and_arch(options.get_training_parser(), argv)
    forget_earlier_runs()
    with recorded() as record:
        distributed.call_main(convert_namespace_to_omegaconf(args), main)
    torch.save(record.held(), folder / f"rank{os.environ['RANK']}.pt")
