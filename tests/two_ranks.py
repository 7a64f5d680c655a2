"""Run by torchrun in a test: trains on two gloo ranks and writes what each rank did and holds at the end.

Arguments: the data, the folder to write, the folder of the code that fairseq is told of, and a JSON object: name of a run -> its
options. Each has a folder of its own.
"""

import importlib
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

from tests.training import QUIET, forget_earlier_runs, recorded, words  # noqa: E402

data, output, user_dir, runs = sys.argv[1:]
importlib.import_module(f"{user_dir}.trainer.plugin")
# given outright: without a GPU fairseq would not look at torchrun's environment
ranks = {"distributed-world-size": os.environ["WORLD_SIZE"], "distributed-rank": os.environ["RANK"],
         "distributed-init-method": "env://", "distributed-no-spawn": True, "distributed-backend": "gloo",
         "ddp-backend": "legacy_ddp"}
for name, changed in json.loads(runs).items():
    folder = Path(output) / name
    argv = [data, "--save-dir", str(folder), *words({**QUIET, **ranks, **changed})]
    args = options.parse_args_and_arch(options.get_training_parser(), argv)
    forget_earlier_runs()
    with recorded() as record:
        distributed.call_main(convert_namespace_to_omegaconf(args), main)
    torch.save(record.held(), folder / f"rank{os.environ['RANK']}.pt")
