"""Language codes: the shape and usual case of BCP-47."""

from __future__ import annotations

import re

from pretrain.base.errors import UserError

_LANGUAGE = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-x(?:-[a-z0-9]{1,8})+)?|x(?:-[a-z0-9]{1,8})+)", re.IGNORECASE)


def check_language(code: str) -> str:
    """A BCP-47 language code in its usual case (`zh-Hant`, `pt-BR`, `x-mini`).

    Raises:
        UserError: not the shape of a language code.
    """
    if not _LANGUAGE.fullmatch(code):
        hint = f", did you mean {code.replace('_', '-')!r}?" if _LANGUAGE.fullmatch(code.replace("_", "-")) else ""
        raise UserError(f"language {code!r}: expected a BCP-47 code such as sw, zh-Hant or pt-BR{hint}")
    parts = code.lower().split("-")
    for place, part in enumerate(parts[1:], 1):
        if "x" in parts[:place]:
            break
        if len(part) == 2:
            parts[place] = part.upper()
        elif len(part) == 4 and part.isalpha():
            parts[place] = part.title()
    return "-".join(parts)
