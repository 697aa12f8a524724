"""Configuration: the schema of ``configs/``, its validation, and its composition by Hydra."""

from mfpolicy.config.composition import compose, compose_preset, resolved_yaml
from mfpolicy.config.convert import from_mapping, to_mapping
from mfpolicy.config.schema import (
    CollectConfig,
    EvalConfig,
    LoggingConfig,
    PolicyConfig,
    PresetConfig,
    TrainConfig,
    TrainingConfig,
    ValidationConfig,
)

__all__ = [
    "CollectConfig",
    "EvalConfig",
    "LoggingConfig",
    "PolicyConfig",
    "PresetConfig",
    "TrainConfig",
    "TrainingConfig",
    "ValidationConfig",
    "compose",
    "compose_preset",
    "from_mapping",
    "resolved_yaml",
    "to_mapping",
]
