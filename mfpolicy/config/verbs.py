"""What there is to configure for each verb of the command line, and an example that works."""

from __future__ import annotations

from mfpolicy.config.bench import BenchConfig
from mfpolicy.config.converting import DataConvertConfig
from mfpolicy.config.exporting import ExportConfig
from mfpolicy.config.importing import ImportConfig
from mfpolicy.config.inspecting import DataCheckConfig, DataInfoConfig
from mfpolicy.config.schema import CollectConfig, EvalConfig, SweepConfig, TrainConfig
from mfpolicy.config.serving import ServeConfig

SCHEMAS: dict[str, type] = {
    "collect": CollectConfig,
    "train": TrainConfig,
    "eval": EvalConfig,
    "sweep": SweepConfig,
    "serve": ServeConfig,
    "export": ExportConfig,
    "import": ImportConfig,
    "bench": BenchConfig,
    "data convert": DataConvertConfig,
    "data info": DataInfoConfig,
    "data check": DataCheckConfig,
}
"""What each verb's configuration is checked against."""

POSITIONAL = {
    "eval": "run",
    "serve": "run",
    "export": "run",
    "import": "checkpoint",
    "bench": "what",
    "data convert": "source",
    "data info": "dataset",
    "data check": "dataset",
}
"""The key whose value may stand bare on the command line."""

EXAMPLES = {
    "collect": (
        "mfpolicy collect task=metaworld/drawer-open episodes=10 seed=0 out=data/drawer-open.zarr"
    ),
    "train": (
        "mfpolicy train task=metaworld/drawer-open policy=mp1_small "
        "data=data/drawer-open.zarr out=runs/drawer-open"
    ),
    "eval": "mfpolicy eval runs/drawer-open episodes=100 seed=10000",
    "serve": "mfpolicy serve runs/drawer-open port=8765",
    "export": "mfpolicy export runs/drawer-open format=onnx",
    "import": "mfpolicy import latest.ckpt out=runs/imported task=metaworld/drawer-open",
    "bench": "mfpolicy bench latency policy=mp1,dp3 precision=float32,bfloat16 decisions=200",
    "data convert": (
        "mfpolicy data convert door-v0_demos.pickle out=data/door-human.zarr task=adroit/door"
    ),
    "data info": "mfpolicy data info data/drawer-open.zarr",
    "data check": "mfpolicy data check data/drawer-open.zarr fix=true out=data/mended.zarr",
    "sweep": (
        "mfpolicy sweep task=metaworld/drawer-open,metaworld/door-open policy=mp1_small,dp3 "
        "seed=0,1,2 data='data/{task}.zarr' out=runs/grid launcher=joblib launcher.n_jobs=2"
    ),
}


def config_name(verb: str) -> str:
    """The file in ``configs`` that has the defaults of ``verb``, without its ending."""
    return verb.replace(" ", "_")
