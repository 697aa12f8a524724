"""What there is to configure for each verb of the command line, and an example that works."""

from __future__ import annotations

from mfpolicy.config.bench import BenchConfig
from mfpolicy.config.benchmark_report import BenchmarkReportConfig
from mfpolicy.config.benchmarking import BenchmarkRunConfig
from mfpolicy.config.converting import DataConvertConfig
from mfpolicy.config.editing import (
    DataMergeConfig,
    DataRecomputeConfig,
    DataResampleConfig,
    DataSplitConfig,
    DataSubsetConfig,
)
from mfpolicy.config.exporting import ExportConfig
from mfpolicy.config.importing import ImportConfig
from mfpolicy.config.inspecting import DataCheckConfig, DataInfoConfig
from mfpolicy.config.robot import RobotConfig
from mfpolicy.config.schema import CollectConfig, EvalConfig, SweepConfig, TrainConfig
from mfpolicy.config.serving import ServeConfig
from mfpolicy.config.viewing import DataViewConfig

SCHEMAS: dict[str, type] = {
    "collect": CollectConfig,
    "train": TrainConfig,
    "eval": EvalConfig,
    "sweep": SweepConfig,
    "serve": ServeConfig,
    "robot": RobotConfig,
    "export": ExportConfig,
    "import": ImportConfig,
    "bench": BenchConfig,
    "benchmark run": BenchmarkRunConfig,
    "benchmark report": BenchmarkReportConfig,
    "data convert": DataConvertConfig,
    "data info": DataInfoConfig,
    "data check": DataCheckConfig,
    "data merge": DataMergeConfig,
    "data split": DataSplitConfig,
    "data subset": DataSubsetConfig,
    "data resample": DataResampleConfig,
    "data recompute": DataRecomputeConfig,
    "data view": DataViewConfig,
}
"""What each verb's configuration is checked against."""

POSITIONAL = {
    "eval": "run",
    "serve": "run",
    "robot": "run",
    "export": "run",
    "import": "checkpoint",
    "bench": "what",
    "benchmark report": "records",
    "data convert": "source",
    "data info": "dataset",
    "data check": "dataset",
    "data merge": "sources",
    "data split": "source",
    "data subset": "source",
    "data resample": "source",
    "data recompute": "source",
    "data view": "dataset",
}
"""The key whose value may stand bare on the command line."""

EXAMPLES = {
    "collect": (
        "mfpolicy collect task=metaworld/drawer-open episodes=10 seed=0 out=data/drawer-open.zarr"
    ),
    "train": (
        "mfpolicy train task=metaworld/drawer-open policy=mp1_mixer "
        "data=data/drawer-open.zarr out=runs/drawer-open"
    ),
    "eval": "mfpolicy eval runs/drawer-open episodes=100 seed=10000",
    "serve": "mfpolicy serve runs/drawer-open port=8765",
    "robot": "mfpolicy robot runs/drawer-open robot=sim_ros2 episodes=20 out=loop",
    "export": "mfpolicy export runs/drawer-open format=onnx",
    "import": "mfpolicy import latest.ckpt out=runs/imported task=metaworld/drawer-open",
    "bench": "mfpolicy bench latency policy=mp1,dp3 precision=float32,bfloat16 decisions=200",
    "benchmark run": (
        "mfpolicy benchmark run suite=quick_8 methods=mp1,mp1_plus seed=0,1,2 out=runs/quick_8 "
        "launcher=joblib launcher.n_jobs=2"
    ),
    "benchmark report": "mfpolicy benchmark report records=runs/quick_8/records out=report.html",
    "data convert": (
        "mfpolicy data convert door-v0_demos.pickle out=data/door-human.zarr task=adroit/door"
    ),
    "data info": "mfpolicy data info data/drawer-open.zarr",
    "data check": "mfpolicy data check data/drawer-open.zarr fix=true out=data/mended.zarr",
    "data merge": "mfpolicy data merge data/a.zarr data/b.zarr out=data/ab.zarr",
    "data split": "mfpolicy data split data/ab.zarr out=data/ab parts=train:0.8,val:0.2 seed=0",
    "data subset": "mfpolicy data subset data/ab.zarr out=data/five.zarr episodes=0:10 first=5",
    "data resample": "mfpolicy data resample data/ab.zarr out=data/ab-256.zarr points=256",
    "data recompute": (
        "mfpolicy data recompute data/ab.zarr out=data/ab-low.zarr crop_max=[0.55,1.15,0.3]"
    ),
    "data view": "mfpolicy data view data/drawer-open.zarr episode=0 out=drawer-open.html",
    "sweep": (
        "mfpolicy sweep task=metaworld/drawer-open,metaworld/door-open policy=mp1_mixer,dp3 "
        "seed=0,1,2 data='data/{task}.zarr' out=runs/grid launcher=joblib launcher.n_jobs=2"
    ),
}


def config_name(verb: str) -> str:
    """The file in ``configs`` that has the defaults of ``verb``, without its ending."""
    return verb.replace(" ", "_")
