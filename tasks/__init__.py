"""Tasks: readers, heads, metrics, task adaptation, evaluation. Also a fairseq `--user-dir`."""

import sys

if sys.modules.get("fairseq") is not None:  # imported by fairseq-train --user-dir: register; otherwise stay light
    from tasks.trainer import plugin  # noqa: F401
