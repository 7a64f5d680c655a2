"""Composes a configuration of fairseq's once: Hydra's parser then knows its grammar, which costs each training half a second."""

from fairseq import options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

WORDS = ("/nowhere", "--task", "masked_lm", "--arch", "roberta_base", "--criterion", "masked_lm", "--optimizer", "adam",
         "--lr-scheduler", "polynomial_decay", "--total-num-update", "2", "--lr", "1e-3", "--log-format", "json")

convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), list(WORDS)))
