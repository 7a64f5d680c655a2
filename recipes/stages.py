"""The stages of the journey and where the settings of each are declared."""

from __future__ import annotations

from importlib import import_module

SETTINGS = {
    "prepare": ("adapt.text.settings", "PrepareSettings"),
    "pretrain": ("pretrain.settings", "PretrainRecipe"),
    "adapt": ("adapt.settings", "AdaptSettings"),
    "finetune": ("tasks.settings", "FinetuneSettings"),
    "teach": ("tasks.distillation.settings", "TeachSettings"),
    "multitask": ("tasks.multitask.settings", "MultitaskSettings"),
    "evaluate": ("tasks.settings", "EvaluateSettings"),
}
"""Stage -> module and dataclass."""


def settings_of(stage: str) -> type:
    """The dataclass of a stage's settings."""
    module, name = SETTINGS[stage]
    found: type = getattr(import_module(module), name)
    return found
