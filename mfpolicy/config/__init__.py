"""Configuration: the schema of ``configs/``, its validation, and its composition by Hydra."""

from mfpolicy.config.bench import BenchConfig
from mfpolicy.config.benchmark_grid import Benchmark, BenchmarkCell, compose_benchmark
from mfpolicy.config.benchmark_report import BenchmarkReportConfig
from mfpolicy.config.benchmarking import BenchmarkRunConfig
from mfpolicy.config.composition import compose, compose_preset, resolved_yaml
from mfpolicy.config.convert import from_mapping, to_mapping
from mfpolicy.config.converting import DataConvertConfig
from mfpolicy.config.editing import (
    DataMergeConfig,
    DataRecomputeConfig,
    DataResampleConfig,
    DataSplitConfig,
    DataSubsetConfig,
)
from mfpolicy.config.exporting import ExportConfig
from mfpolicy.config.grid import Cell, Sweep, compose_sweep
from mfpolicy.config.importing import ImportConfig
from mfpolicy.config.inspecting import DataCheckConfig, DataInfoConfig
from mfpolicy.config.robot import RobotConfig
from mfpolicy.config.schema import (
    CollectConfig,
    EvalConfig,
    LoggingConfig,
    PolicyConfig,
    PresetConfig,
    SweepConfig,
    TrainConfig,
    TrainingConfig,
    ValidationConfig,
)
from mfpolicy.config.serving import ServeConfig
from mfpolicy.config.viewing import DataViewConfig

__all__ = [
    "BenchConfig",
    "Benchmark",
    "BenchmarkCell",
    "BenchmarkReportConfig",
    "BenchmarkRunConfig",
    "Cell",
    "CollectConfig",
    "EvalConfig",
    "DataCheckConfig",
    "DataConvertConfig",
    "DataInfoConfig",
    "DataMergeConfig",
    "DataRecomputeConfig",
    "DataResampleConfig",
    "DataSplitConfig",
    "DataSubsetConfig",
    "DataViewConfig",
    "ExportConfig",
    "ImportConfig",
    "LoggingConfig",
    "PolicyConfig",
    "PresetConfig",
    "RobotConfig",
    "ServeConfig",
    "Sweep",
    "SweepConfig",
    "TrainConfig",
    "TrainingConfig",
    "ValidationConfig",
    "compose",
    "compose_benchmark",
    "compose_preset",
    "compose_sweep",
    "from_mapping",
    "resolved_yaml",
    "to_mapping",
]
