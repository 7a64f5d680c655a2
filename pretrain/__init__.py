"""How a body comes to be: encoder, masking, forgetting, optimizer. Also a fairseq `--user-dir`."""

import sys

if sys.modules.get("fairseq") is not None:  # imported by fairseq-train --user-dir: register; otherwise stay light
    from pretrain.trainer import plugin  # noqa: F401
