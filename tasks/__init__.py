"""Tasks: readers, heads, metrics, task adaptation, evaluation. Also a fairseq `--user-dir`."""

import sys

if "fairseq" in sys.modules:  # imported by fairseq-train --user-dir: register; otherwise stay light
    from tasks import plugin  # noqa: F401
