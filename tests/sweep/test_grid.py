"""From the words of a sweep to its cells."""

from __future__ import annotations

import pytest
import yaml

from mfpolicy import cli
from mfpolicy.config import compose, compose_sweep
from mfpolicy.config.composition import group_choices
from mfpolicy.config.launching import PLUGINS, TOGETHER
from mfpolicy.config.verbs import EXAMPLES
from mfpolicy.errors import ConfigError
from mfpolicy.paths import config_dir

TASKS = "task=metaworld/drawer-open,metaworld/door-open"
NEEDED = ["task=metaworld/reach", "data=reach.zarr", "out=runs/grid"]


def _cells(*words: str):
    given = {word.partition("=")[0] for word in words}
    needed = [word for word in NEEDED if word.partition("=")[0] not in given]
    return compose_sweep([*needed, *words]).cells


def test_a_cell_is_what_train_composes_from_the_same_values():
    varied = (
        "policy=mp1_small,dp3",
        "seed=range(1,3)",
        "training.learning_rate=1e-3,0.01",
        "training.betas=[0.8,0.9],[0.9,0.95]",
        "budget=null,5min",
        "training.steps=7",
    )
    cells = _cells(*varied, "data='data/{task}.zarr'")
    assert len(cells) == 2**5
    for cell in cells[::5]:
        words = [f"{key}={value}" for key, value in cell.values.items()]
        whole = [*words, *NEEDED[:1], "training.steps=7", "data=data/reach.zarr"]
        assert cell.config == compose("train", [*whole, f"out={cell.config.out}", "resume=true"])


def test_cells_are_named_after_what_was_swept_and_nothing_else():
    names = [c.name for c in _cells(TASKS, "data={task}", "policy=dp3", "seed=0,1")]
    assert names[0] == "metaworld-drawer-open__seed0"
    assert names[-1] == "metaworld-door-open__seed1"
    (one,) = _cells("policy=choice(dp3)")
    assert (one.name, one.config.out) == ("dp3", "runs/grid/dp3")
    quoted = _cells("data=a.zarr,'b,c.zarr'")
    assert {c.name: c.config.data for c in quoted} == {
        "data-a.zarr": "a.zarr",
        "data-b-c.zarr": "b,c.zarr",
    }


def test_the_dataset_follows_task_suite_and_swept_values():
    cells = _cells("task=metaworld/hammer,adroit/hammer", "data={suite}/{task}-{seed}", "seed=3,4")
    found = [cell.config.data for cell in cells]
    assert found[:3] == ["metaworld/hammer-3", "metaworld/hammer-4", "adroit/hammer-3"]


def test_glob_takes_every_file_of_a_group():
    assert [c.values["policy"] for c in _cells("policy=glob(*)")] == group_choices("train")[
        "policy"
    ]


def test_the_example_composes():
    words = EXAMPLES["sweep"].replace("'", "").split()
    assert words[:2] == ["mfpolicy", "sweep"]
    sweep = compose_sweep(words[2:])
    assert len(sweep.cells) == 12
    assert sweep.config.launcher["n_jobs"] == 2


@pytest.mark.parametrize("launcher", sorted(PLUGINS))
def test_options_of_a_launcher_are_those_of_hydras_plugin_and_all_explained(launcher):
    """The file and Hydra's own node name the same options, but for the names we give or set."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    from mfpolicy.config.describe import describe

    Plugins.instance()
    path = config_dir() / "launcher" / f"{launcher}.yaml"
    ours = set(yaml.safe_load(path.read_text())) - {"name"}
    node = ConfigStore.instance().load(f"hydra/launcher/{PLUGINS[launcher][0]}.yaml").node
    assert ours - {"job_name"} <= set(node)
    options = [o for o in describe("sweep", [f"launcher={launcher}"]) if "launcher." in o.key]
    assert len(options) >= len(ours)
    assert [option.key for option in options if not option.meaning] == []


def test_every_file_of_the_group_is_a_launcher():
    assert group_choices("sweep")["launcher"] == sorted([*PLUGINS, TOGETHER])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=0"], "needs a key with several values"),
        (["seed=0,0"], "2 cells named seed0"),
        (["seed=0,1", "out=a,b"], "out must have one value"),
        (["seed=0,1", "resume=true,false"], "resume must have one value"),
        (["seed=0,1", "launcher=joblib,ray"], "launcher must have one value"),
        (["seed=0,1", "episodes=1,2"], "episodes must have one value"),
        ([TASKS], "data='data/{task}.zarr'"),
        ([TASKS, "data={taks}.zarr"], "'task'"),
        (["seed=0,1", "launcher=jobib"], "'joblib'"),
        (["seed=0,1", "launcher=joblib", "launcher.njobs=2"], "'launcher.n_jobs'"),
        (["seed=0,1", "epsodes=3"], "'episodes'"),
        (["sed=0,1"], "'seed'"),
        (["training.stpes=1,2"], "'training.steps'"),
        (["policy=dp3,mp1_smal"], "'mp1_small'"),
        (["seed=0,one"], "seed must be a whole number"),
        (["seed=0,-1"], "seed must be at least 0"),
        (["seed=interval(0,1)"], "values that can be counted"),
        (["seed=[0,1"], "close brackets"),
        (["seed=0,1", "episodes=-1"], "episodes must be at least 0"),
        (["seed=0,1", "threads=0"], "threads must be at least 1"),
        (["seed=0,1", "seed=2"], "each key must be given once"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(words, message):
    with pytest.raises(ConfigError) as caught:
        _cells(*words)
    assert message in str(caught.value)


def test_missing_keys_are_named_with_an_example():
    with pytest.raises(ConfigError, match=r"task=… and data=….*mfpolicy sweep"):
        compose_sweep(["seed=0,1", "out=runs/grid"])


def test_cfg_prints_the_cells_and_does_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sweep", *NEEDED, "seed=0,1", "--cfg"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["cells"]["seed1"] == {"seed": "1", "data": "reach.zarr"}
    assert list(tmp_path.iterdir()) == []


def test_a_policy_of_several_tasks_is_one_cell_with_a_dataset_of_each():
    tasks = "task=[metaworld/reach,metaworld/push],[metaworld/hammer,metaworld/door-open]"
    cells = _cells(tasks, "data='data/{task}.zarr'")
    assert [cell.config.data_of for cell in cells] == [
        {"metaworld/reach": "data/reach.zarr", "metaworld/push": "data/push.zarr"},
        {"metaworld/hammer": "data/hammer.zarr", "metaworld/door-open": "data/door-open.zarr"},
    ]
    assert cells[0].name == "metaworld-reach-metaworld-push"
