"""Holds our LeRobotDataset v3 to the real ``lerobot``, both ways.

It runs in two environments, since lerobot's pins are not ours: this script is started in ours, and
starts itself again with the Python of an environment that has ``lerobot[dataset]`` in it.

    python3.12 -m venv /tmp/lerobot && /tmp/lerobot/bin/pip install 'lerobot[dataset]'
    python -m benchmarks.data.lerobot_roundtrip --lerobot /tmp/lerobot/bin/python --out NAME

1. A dataset of ours (clouds, colors, depth, an image, a flag) is written; lerobot's own reader
   opens it, and every value it returns is compared with ours.
2. lerobot's own writer records a dataset with a cloud, an image video and a depth video; it is
   converted, and every value is compared with what was recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

LENGTHS, POINTS, SIZE, RATE_HZ = (30, 25, 40), 64, (64, 96), 20
CLOUD, DEPTH, IMAGE = (
    "observation.point_cloud",
    "observation.images.depth",
    "observation.images.top",
)


def pictures(length: int) -> np.ndarray:
    """(L, H, W, 3) uint8: smooth, and brighter from step to step."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    still = np.stack([rows * 2, columns, np.full_like(rows, 40)], axis=-1)
    return np.stack([still + step * 2 for step in range(length)]).astype(np.uint8)


def recording(index: int) -> dict[str, np.ndarray]:
    """Arrays of one episode by name, the same in both environments."""
    drawn, length = np.random.default_rng(index), LENGTHS[index]
    return {
        "observation.state": drawn.normal(size=(length, 5)).astype(np.float32),
        "action": drawn.uniform(-1, 1, (length, 3)).astype(np.float32),
        CLOUD: drawn.uniform(-1, 1, (length, POINTS, 3)).astype(np.float32),
        DEPTH: (drawn.uniform(0.3, 2.0, (length, *SIZE)) * 1000).astype(np.uint16),
        IMAGE: pictures(length),
    }


def theirs(task: str, folder: Path) -> None:
    """Runs in lerobot's environment."""
    import lerobot
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    if task == "read":
        dataset = LeRobotDataset("mfpolicy/check", root=folder / "ours")
        items = [dataset[index] for index in range(len(dataset))]
        found = {
            key: np.stack([np.asarray(item[key]) for item in items])
            for key in items[0]
            if key != "task"
        }
        found["lengths"] = np.array([int(row["length"]) for row in dataset.meta.episodes])
        np.savez(folder / "read.npz", **found)
        stats = {
            key: np.asarray(value["mean"]).tolist() for key, value in dataset.meta.stats.items()
        }
        notes = {
            "version": lerobot.__version__,
            "tasks": [item["task"] for item in items[:1]],
            "episodes": dataset.num_episodes,
            "frames": dataset.num_frames,
            "mean": stats,
        }
        (folder / "read.json").write_text(json.dumps(notes))
        return
    features = {
        "observation.state": {"dtype": "float32", "shape": (5,), "names": None},
        "action": {"dtype": "float32", "shape": (3,), "names": None},
        CLOUD: {"dtype": "float32", "shape": (POINTS, 3), "names": None},
        DEPTH: {
            "dtype": "video",
            "shape": (*SIZE, 1),
            "names": ["height", "width", "channels"],
            "info": {"is_depth_map": True},
        },
        IMAGE: {"dtype": "video", "shape": (*SIZE, 3), "names": ["height", "width", "channels"]},
    }
    dataset = LeRobotDataset.create(
        "mfpolicy/theirs", fps=RATE_HZ, features=features, root=folder / "theirs", use_videos=True
    )
    for index in range(len(LENGTHS)):
        arrays = recording(index)
        for step in range(LENGTHS[index]):
            frame: dict[str, Any] = {key: values[step] for key, values in arrays.items()}
            frame[DEPTH] = frame[DEPTH][..., None]
            dataset.add_frame({**frame, "task": "stack the cubes"})
        dataset.save_episode()
    dataset.finalize()


def write_ours(folder: Path) -> None:
    """The dataset of ours that is written as LeRobot's."""
    from mfpolicy.data import DatasetSpec, DatasetWriter, Episode
    from mfpolicy.data.converting import export

    spec = DatasetSpec("toy/stack", RATE_HZ, "made up", None, None, 5, 3, POINTS)
    with DatasetWriter.open(folder / "ours.zarr", spec) as writer:
        for index, length in enumerate(LENGTHS):
            drawn, arrays = np.random.default_rng(100 + index), recording(index)
            writer.append(
                Episode(
                    arrays[CLOUD], arrays["observation.state"], arrays["action"], index, index != 1,
                    drawn.integers(0, 256, (length, POINTS, 3)).astype(np.uint8),
                    {"img": arrays[IMAGE], "depth": arrays[DEPTH].astype(np.float32) / 1000,
                     "contact": drawn.integers(0, 2, length).astype(bool)},
                )
            )  # fmt: skip
    export(folder / "ours.zarr", folder / "ours", to="lerobot", keep="all")


def compare_ours(folder: Path) -> list[dict[str, Any]]:
    """Rows: what lerobot's reader returned beside the dataset of ours."""
    from mfpolicy.data import open_dataset

    dataset, read = open_dataset(folder / "ours.zarr"), np.load(folder / "read.npz")
    steps = dataset.step_count
    pairs = {
        "observation.state": dataset.stored("state").read(0, steps),
        "action": dataset.stored("action").read(0, steps),
        CLOUD: dataset.read_points(0, steps),
        "observation.point_cloud_color": dataset.stored("color").read(0, steps),
        "observation.depth": dataset.stored("depth").read(0, steps),
        "observation.contact": dataset.stored("contact").read(0, steps),
        "episode_index": np.repeat(np.arange(len(LENGTHS)), LENGTHS),
        "timestamp": np.concatenate([np.arange(n) / RATE_HZ for n in LENGTHS]).astype(np.float32),
    }
    rows = [row("written by us, read by lerobot", key, read[key].reshape(value.shape), value)
            for key, value in pairs.items()]  # fmt: skip
    seen = read["observation.images.img"].transpose(0, 2, 3, 1) * 255
    wanted = dataset.stored("img").read(0, steps)
    return [*rows, row("written by us, read by lerobot", "observation.images.img", seen, wanted)]


def compare_theirs(folder: Path) -> list[dict[str, Any]]:
    """Rows: our conversion of a dataset that lerobot recorded beside what was recorded."""
    from mfpolicy.data import open_dataset
    from mfpolicy.data.converting import Target, convert

    convert(folder / "theirs", folder / "theirs.zarr", Target())
    dataset = open_dataset(folder / "theirs.zarr")
    recorded = [recording(index) for index in range(len(LENGTHS))]
    whole = {key: np.concatenate([each[key] for each in recorded]) for key in recorded[0]}
    steps, label = dataset.step_count, "recorded by lerobot, converted by us"
    clouds, wanted = dataset.read_points(0, steps), whole[CLOUD]
    order = [np.lexsort(cloud.T) for cloud in clouds], [np.lexsort(cloud.T) for cloud in wanted]
    sorted_there = np.stack([c[o] for c, o in zip(wanted, order[1], strict=True)])
    sorted_here = np.stack([c[o] for c, o in zip(clouds, order[0], strict=True)])
    return [
        row(
            label,
            "observation.state",
            dataset.stored("state").read(0, steps),
            whole["observation.state"],
        ),
        row(label, "action", dataset.stored("action").read(0, steps), whole["action"]),
        row(label, f"{CLOUD} (as a set)", sorted_here, sorted_there),
        row(label, f"{DEPTH} (m)", dataset.stored("depth").read(0, steps), whole[DEPTH] / 1000),
        row(label, IMAGE, dataset.stored("top").read(0, steps), whole[IMAGE]),
    ]


def row(label: str, name: str, found: np.ndarray, wanted: np.ndarray) -> dict[str, Any]:
    """How far ``found`` is from ``wanted``."""
    apart = np.abs(np.asarray(found, np.float64) - np.asarray(wanted, np.float64))
    return {"way": label, "feature": name, "shape": list(wanted.shape),
            "largest": float(apart.max()), "mean": float(apart.mean())}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lerobot", required=True, help="Python of lerobot's environment")
    parser.add_argument("--out", type=Path, required=True, help="path of the result, no ending")
    arguments = parser.parse_args()
    from mfpolicy.evaluation.machine import machine_facts

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_ours(folder)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        for task in ("read", "record"):
            command = [arguments.lerobot, __file__, "--theirs", task, str(folder)]
            subprocess.run(command, check=True, env=environment | {"HF_HUB_OFFLINE": "1"})
        rows = [*compare_ours(folder), *compare_theirs(folder)]
        read = json.loads((folder / "read.json").read_text())
    result = {"lerobot": read, "rows": rows, "machine": machine_facts("cpu")}
    arguments.out.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    lines = [
        f"# LeRobotDataset v3 beside lerobot {read['version']}",
        "",
        "| way | feature | shape | largest difference | mean |",
        "|---|---|---|---|---|",
    ]
    for each in rows:
        numbers = f"{each['largest']:.3g} | {each['mean']:.3g}"
        lines.append(f"| {each['way']} | {each['feature']} | {each['shape']} | {numbers} |")
    lines += [
        "",
        f"lerobot counts {read['episodes']} episodes, {read['frames']} frames, the task "
        f"{read['tasks'][0]!r}. Videos are H.264 and AV1 of 0 to 255; depth videos have 12 bits.",
        "",
        "`python -m benchmarks.data.lerobot_roundtrip --lerobot PYTHON --out NAME`",
    ]
    arguments.out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--theirs"]:
        theirs(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
