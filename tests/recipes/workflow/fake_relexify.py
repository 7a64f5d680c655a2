"""Stands in for the relexify command in tests of the workflow: writes the record of a stage at once.

FAKE_FAIL: a word of the output's name; that command fails. FAKE_SLOW: a word; that command waits for the file FAKE_GO.
FAKE_WARN: every command warns of that.
FAKE_LOG: one line when a command begins and one when it ends. The record holds the command's words and the GPUs that it sees.
"""

import json
import os
import sys
import time
from pathlib import Path

RECORDS = {"prepare": "prepare.json", "pretrain": "body/body.json", "adapt": "embedding.json", "finetune": "body.json",
           "evaluate": "results.json"}
words = sys.argv[1:]
stage = words[0]
output = Path(words[words.index("--output") + 1] if "--output" in words else
              next(word for word in words if word.startswith("output=")).removeprefix("output="))


def note(text: str) -> None:
    with open(os.environ["FAKE_LOG"], "a") as log:
        log.write(f"{text} {stage}/{output.name}\n")


note("begin")
if os.environ.get("FAKE_WARN"):
    print(f"relexify: warning: {os.environ['FAKE_WARN']}")
if os.environ.get("FAKE_SLOW") and os.environ["FAKE_SLOW"] in output.name:
    while not Path(os.environ["FAKE_GO"]).exists():
        time.sleep(0.02)
if os.environ.get("FAKE_FAIL") and os.environ["FAKE_FAIL"] in output.name:
    print("relexify: error: it is made to fail")
    sys.exit(2)
whole = output.with_name(f".{output.name}.{os.getpid()}")  # as the commands do: an output appears with one rename
record = whole / RECORDS[stage]
record.parent.mkdir(parents=True)
record.write_text(json.dumps({"words": words, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}))
os.rename(whole, output)
note("end")
