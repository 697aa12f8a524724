"""A folder for a robot: it runs without torch and without mfpolicy, and decides as the policy."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from deployment.export.conftest import RECIPE
from deployment.export.known_graphs import export_known
from mfpolicy.deployment.export import export_policy, robot_policy
from mfpolicy.errors import RunError
from mfpolicy.objectives.noise import Noise
from mfpolicy.pointcloud import crop, sample
from mfpolicy.policy import load_policy

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "mfpolicy", "fpsample", "onnx", "onnxscript"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
sys.path.insert(0, ".")
"""


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    return export_known(run, tmp_path_factory.mktemp("robot") / "robot", format="folder").path


def run_there(folder: Path, code: str) -> str:
    """Runs code in the folder, in a process that can import neither torch nor mfpolicy."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", BLOCKED + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_decides_as_the_policy_does_from_raw_points(run, folder):
    random = np.random.default_rng(3)
    points = random.uniform(-1.5, 1.5, (3, 300, 3)).astype(np.float32)
    states = random.random((3, 5), dtype=np.float32)
    noise = random.normal(size=(3, 4, 2)).astype(np.float32)
    np.savez(folder.parent / "seen.npz", points=points, states=states, noise=noise)
    run_there(
        folder,
        """
import numpy as np
from policy import RobotPolicy

policy = RobotPolicy(threads=1)
seen = np.load("../seen.npz")
acted = []
for points, state, noise in zip(seen["points"], seen["states"], seen["noise"]):
    policy.observe(points, state)
    acted.append(policy.act(noise))
policy.reset()
policy.observe(seen["points"][2], seen["states"][2])
acted.append(policy.act(seen["noise"][2]))
np.save("../acted.npy", acted)
assert not {"torch", "mfpolicy"} & {name.partition(".")[0] for name in sys.modules}
""",
    )
    clouds = [sample(p[crop(p, RECIPE["crop_min"], RECIPE["crop_max"])], 8) for p in points]
    policy, expected = load_policy(run), []
    for before, now in ((0, 0), (0, 1), (1, 2), (2, 2)):  # a first frame is its own past
        frames = {
            "point_cloud": np.stack([clouds[before], clouds[now]])[None],
            "agent_pos": np.stack([states[before], states[now]])[None],
        }
        actions = policy.predict(frames, noise=torch.from_numpy(noise[None, now]))
        expected.append(actions[0].numpy())
    np.testing.assert_allclose(np.load(folder.parent / "acted.npy"), expected, rtol=0, atol=1e-4)


def test_the_example_of_its_readme_runs(folder):
    readme = (folder / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert example == (folder / "example.py").read_text()
    assert run_there(folder, example).count("(3, 2)") == 3
    for word in ("20 Hz", "suite/task", "(M, 3)", "(3, 2)", "`top`"):
        assert word in readme


def test_it_holds_the_loader_word_for_word_and_the_spec(run, folder):
    assert (folder / "policy.py").read_bytes() == Path(robot_policy.__file__).read_bytes()
    stored = json.loads((folder / "spec.json").read_text())
    assert stored["spec"] == load_policy(run).spec.to_dict()
    assert stored["export"]["format"] == "folder"
    names = {"README.md", "example.py", "policy.onnx", "policy.py", "requirements.txt", "spec.json"}
    assert {path.name for path in folder.iterdir() if path.name != "__pycache__"} == names
    wanted = [line for line in (folder / "requirements.txt").read_text().split("\n") if line]
    assert [re.split("[>= ]", line)[0] for line in wanted if line[0] != "#"] == [
        "numpy",
        "onnxruntime",
    ]


def test_the_same_export_again_is_found_and_another_is_not_overwritten(run, folder):
    assert export_policy(run, folder, format="folder").existed
    with pytest.raises(RunError, match="must not exist yet"):
        export_policy(run, folder, format="folder", steps=2)


@pytest.mark.parametrize("with_fpsample", [True, False])
@pytest.mark.parametrize("kind", ["random", "grid", "equal", "few"])
def test_its_sampling_is_the_packages(kind, with_fpsample, monkeypatch):
    random = np.random.default_rng(5)
    axis = np.linspace(-0.3, 0.4, 8, dtype=np.float32)
    points = {
        "random": random.normal(size=(1000, 3)).astype(np.float32),
        "grid": np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3),
        "equal": np.ones((300, 3), np.float32),
        "few": random.random((5, 6), dtype=np.float32),
    }[kind]
    if not with_fpsample:
        monkeypatch.setitem(sys.modules, "fpsample", None)
    for count in (1, 7, 64):
        expected = sample(points, count)
        np.testing.assert_array_equal(robot_policy.sample(points, count), expected)


def test_its_crop_is_the_packages():
    points = np.random.default_rng(6).normal(size=(500, 4)).astype(np.float32)
    points[0, :3] = [0.5, 0.25, 1.0]  # on the border, which is outside
    box = ((-0.5, -0.25, -1.0), (0.5, 0.25, 1.0))
    np.testing.assert_array_equal(robot_policy.crop(points, *box), crop(points, *box))


@pytest.mark.parametrize(
    "noise",
    [Noise(), Noise(kind="student_t", degrees=5.0), Noise(kind="bounded", bound=1.5)],
    ids=lambda noise: noise.kind,
)
def test_its_noise_has_the_distribution_of_the_objectives(folder, noise):
    policy = robot_policy.RobotPolicy(folder, threads=1, seed=0)
    policy._noise = {"kind": noise.kind, "degrees": noise.degrees, "bound": noise.bound}
    rows = 20_000
    ours = policy.draw_noise(rows)
    theirs = noise.draw((rows, 4, 2), generator=torch.Generator().manual_seed(0)).numpy()
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    # The largest distance of two distributions of n and m = n independent chunks exceeds
    # 1.95 √(2 / n) once in a thousand draws (Kolmogorov and Smirnov); one entry of each chunk.
    both = np.sort(np.concatenate([ours[:, 0, 0], theirs[:, 0, 0]]))
    counts = [np.searchsorted(np.sort(x[:, 0, 0]), both, side="right") for x in (ours, theirs)]
    assert np.abs(counts[0] - counts[1]).max() / rows < 1.95 * (2 / rows) ** 0.5
    squares = [np.square(x).mean(axis=(1, 2)).std() for x in (ours, theirs)]  # one χ² a chunk
    assert squares[0] == pytest.approx(squares[1], rel=0.3)


def test_the_seed_makes_its_noise_repeat(folder):
    first, second = (robot_policy.RobotPolicy(folder, seed=7).draw_noise(2) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = robot_policy.RobotPolicy(folder).draw_noise(2)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("cloud", "state", "noise", "message"),
    [
        ((1, 2, 9, 3), (1, 2, 5), (1, 4, 2), "point_cloud must have shape"),
        ((1, 2, 8, 3), (2, 2, 5), (1, 4, 2), "agent_pos must have shape"),
        ((1, 2, 8, 3), (1, 2, 5), (1, 4, 3), "noise must have shape"),
        ((0, 2, 8, 3), (0, 2, 5), (0, 4, 2), "point_cloud must have shape"),
    ],
)
def test_what_it_cannot_decide_on_is_named(folder, cloud, state, noise, message):
    policy = robot_policy.RobotPolicy(folder, threads=1)
    with pytest.raises(ValueError, match=message):
        policy.predict(np.zeros(cloud), np.zeros(state), np.zeros(noise))


def test_bad_points_and_states_are_named(folder):
    policy = robot_policy.RobotPolicy(folder, threads=1)
    with pytest.raises(ValueError, match=r"observe\(\) must be called"):
        policy.act()
    with pytest.raises(ValueError, match="no point lies inside the crop box"):
        policy.observe(np.full((10, 3), 9.0), np.zeros(5))
    with pytest.raises(ValueError, match="points must be"):
        policy.observe(np.zeros(3), np.zeros(5))
    policy.observe(np.full((10, 3), 0.5), np.full(5, np.nan))
    with pytest.raises(ValueError, match="agent_pos must be finite"):
        policy.act()
