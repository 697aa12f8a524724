"""LeRobotDataset v3 by its layout: there and back, resumed, damaged, and as others write it."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mfpolicy.cli import main
from mfpolicy.data import DatasetSpec, DatasetWriter, Episode, open_dataset
from mfpolicy.data.converting import Target, convert, export
from mfpolicy.data.converting.lerobot_v3 import LeRobotExport, LeRobotLayout
from mfpolicy.data.converting.lerobot_v3 import info as layout
from mfpolicy.data.converting.lerobot_v3.statistics import Aggregate, of_vectors
from mfpolicy.data.converting.lerobot_v3.video import VideoWriter
from mfpolicy.data.converting.placing import CameraLayout
from mfpolicy.errors import ConfigError, DataError

LENGTHS = (9, 6, 12)


def _moving(length: int, size: tuple[int, int]) -> np.ndarray:
    """(L, H, W, 3): a smooth picture whose brightness tells the step."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    still = np.stack([rows * 2, columns * 2, np.zeros_like(rows)], axis=-1)
    return np.stack([still + step * 6 for step in range(length)]).astype(np.uint8)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A dataset with everything that an episode may hold, the second a failure."""
    from mfpolicy.pointcloud import PointCloudRecipe

    recipe = PointCloudRecipe("top", (0, 0, 1), 32, (-1, -1, 0), (1, 1, 1), points=12)
    spec = DatasetSpec("toy/reach", 20.0, "scripted", recipe, {"image_size": 32}, 3, 2, 12)
    path = tmp_path_factory.mktemp("lerobot") / "toy.zarr"
    drawn = np.random.default_rng(0)
    with DatasetWriter.open(path, spec) as writer:
        for index, length in enumerate(LENGTHS):
            extras = {
                "img": _moving(length, (32, 48)),
                "odd": _moving(length, (31, 45)),
                "depth": drawn.uniform(0, 2, (length, 5, 7)).astype(np.float32),
                "full_state": drawn.normal(size=(length, 4)),
                "contact": drawn.integers(0, 2, length).astype(bool),
            }
            writer.append(
                Episode(
                    drawn.uniform(-1, 1, (length, 12, 3)).astype(np.float32),
                    drawn.normal(size=(length, 3)).astype(np.float32),
                    drawn.uniform(-1, 1, (length, 2)).astype(np.float32),
                    100 + index, index != 1,
                    drawn.integers(0, 256, (length, 12, 3)).astype(np.uint8), extras,
                )
            )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def theirs(ours, tmp_path_factory):
    """The same as LeRobotDataset."""
    path = tmp_path_factory.mktemp("lerobot") / "toy"
    export(ours, path, to="lerobot", keep="all")
    return path


def _copy(theirs, tmp_path):
    return shutil.copytree(theirs, tmp_path / "copy")


def test_there_and_back_is_the_same_but_for_the_videos(ours, theirs, tmp_path):
    report = convert(theirs, tmp_path / "back.zarr", Target(), keep="all")
    assert (report.format, report.episodes, report.succeeded) == ("lerobot", 3, 2)
    before, after = open_dataset(ours), open_dataset(tmp_path / "back.zarr")
    assert before.spec.differences(after.spec) == {}
    assert after.array_names == before.array_names
    for index in range(3):
        one, other = before.episode(index), after.episode(index)
        assert (one.seed, one.success) == (other.seed, other.success)
        for name in ("point_cloud", "agent_pos", "action", "color"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        for name, values in one.extras.items():
            assert values.dtype == other.extras[name].dtype
            if name in ("img", "odd"):
                apart = np.abs(values.astype(int) - other.extras[name])
                assert apart.mean() < 4  # steps differ by 6: no frame is taken for its neighbour
            else:
                np.testing.assert_array_equal(values, other.extras[name])


def test_the_command_line_does_both_ways(ours, tmp_path, capsys):
    there, back = tmp_path / "there", tmp_path / "back.zarr"
    assert main(["data", "convert", str(ours), f"out={there}", "to=lerobot", "points=8"]) == 0
    assert main(["data", "convert", str(there), f"out={back}", "points=4"]) == 0
    assert "2 of 2 (100%)" in capsys.readouterr().out
    found = open_dataset(back)
    assert (found.spec.points, found.spec.recipe.points) == (4, 4)
    wanted = open_dataset(ours).episode(2).point_cloud[:, :4]
    np.testing.assert_array_equal(found.episode(1).point_cloud, wanted)


def test_the_layout_is_lerobots(theirs):
    info = json.loads((theirs / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 20, 27)
    assert info["features"]["observation.point_cloud"]["shape"] == [12, 3]
    assert info["features"]["observation.images.img"]["dtype"] == "video"
    table = pq.read_table(theirs / "data/chunk-000/file-000.parquet")
    assert table.schema.field("observation.state").type == pa.list_(pa.float32(), 3)
    assert table.schema.field("observation.depth").type == pa.list_(pa.list_(pa.float32()))
    assert table["episode_index"].to_pylist() == [0] * 9 + [1] * 6 + [2] * 12
    assert table["timestamp"].to_pylist()[9:11] == pytest.approx([0, 0.05])
    rows = pq.read_table(theirs / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert rows[1]["videos/observation.images.img/from_timestamp"] == pytest.approx(9 / 20)
    assert rows[1]["tasks"] == ["toy/reach"]
    assert pq.read_table(theirs / "meta/tasks.parquet")["task"].to_pylist() == ["toy/reach"]


def test_statistics_are_those_of_all_steps(ours, theirs):
    steps = open_dataset(ours).stored("state").read(0, 27).astype(np.float64)
    found = json.loads((theirs / "meta/stats.json").read_text())["observation.state"]
    for name in ("min", "max", "mean", "std"):
        np.testing.assert_allclose(found[name], getattr(steps, name)(axis=0), rtol=1e-9)
    assert found["count"] == [27]
    whole = Aggregate()
    whole.add("x", of_vectors(steps[:5]))
    whole.add("x", of_vectors(steps[5:]))
    np.testing.assert_allclose(whole.to_dict()["x"]["std"], steps.std(0))


def test_an_interrupted_export_goes_on(ours, theirs, tmp_path, monkeypatch):
    finished = LeRobotExport.append

    def interrupted(self, episode):
        finished(self, episode)
        if self.done == 1:
            raise KeyboardInterrupt
        self._commit()

    out = tmp_path / "out"
    monkeypatch.setattr(LeRobotExport, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(ours, out, to="lerobot", keep="all")
    assert not out.exists()
    monkeypatch.setattr(LeRobotExport, "append", finished)
    done = []
    export(ours, out, to="lerobot", keep="all", progress=lambda *now: done.append(now[0]))
    assert done == [2, 3]
    assert not list(out.rglob("*.partial"))
    info, whole = (json.loads((p / "meta/info.json").read_text()) for p in (out, theirs))
    assert info == whole
    convert(out, tmp_path / "back.zarr", Target(), keep="all")
    before, after = open_dataset(ours), open_dataset(tmp_path / "back.zarr")
    np.testing.assert_array_equal(before.read_points(0, 27), after.read_points(0, 27))


def test_depth_and_a_camera_make_clouds(theirs, tmp_path):
    camera = {
        "depth": "observation.depth", "intrinsics": [4.0, 4.0, 3.0, 2.0],
        "T_world_cam": [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1]],
    }  # fmt: skip
    words = {"camera": camera, "crop": {"minimum": [-3, -3, 0.0], "maximum": [3, 3, 1.5]}}
    (tmp_path / "layout.yaml").write_text(yaml.safe_dump(words))
    out = tmp_path / "out.zarr"
    line = [str(theirs), f"out={out}", f"layout={tmp_path}/layout.yaml", "points=16", "keep=all"]
    assert main(["data", "convert", *line]) == 0
    found = open_dataset(out)
    assert (found.spec.recipe, found.spec.points) == (None, 16)
    episode = found.episode(0)
    depth = episode.extras["depth"][3].astype(np.float64)
    rows, columns = np.mgrid[:5, :7]  # (0, 0) is the centre of the first pixel
    seen = np.stack([(columns - 3) * depth / 4, (rows - 2) * depth / 4, depth], -1).reshape(-1, 3)
    world = seen * [1, -1, -1] + [0, 0, 2]
    world = world[(world[:, 2] > 0) & (world[:, 2] < 1.5)]
    apart = np.linalg.norm(episode.point_cloud[3][:, None] - world, axis=2).min(axis=1)
    assert apart.max() < 1e-5


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda info: info.update(codebase_version="v2.1"), "convert_dataset_v21_to_v30"),
        (lambda info: info.update(data_path="{chunk_index:999999999d}"), "data_path"),
        (lambda info: info.update(total_frames=28), "27 steps"),
        (lambda info: info["features"].pop("action"), "feature 'action'"),
        (lambda info: info["features"]["observation.depth"].update(shape=[5, 8]), r"\(5, 8\)"),
        (lambda info: info["features"]["observation.depth"].update(shape=[10**9, 10**9]), "GiB"),
        (lambda info: info["features"]["observation.images.img"].update(shape=[32, 50, 3]), "32 x"),
        (lambda info: info["features"].update({"../x": {"dtype": "video", "shape": [1]}}), "path"),
        (lambda info: info.update(fps=25), "frames from"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(damage, message, theirs, tmp_path):
    copy = _copy(theirs, tmp_path)
    file = copy / "meta/info.json"
    info = json.loads(file.read_text())
    damage(info)
    file.write_text(json.dumps(info))
    with pytest.raises(DataError, match=message):
        convert(copy, tmp_path / "o.zarr", Target(), keep="all")


def test_files_that_do_not_fit_are_refused(theirs, tmp_path):
    copy = _copy(theirs, tmp_path)
    data = copy / "data/chunk-000/file-000.parquet"
    table = pq.read_table(data)
    pq.write_table(table.slice(1), data)
    with pytest.raises(DataError, match="must be the steps|must have the rows"):
        convert(copy, tmp_path / "o.zarr", Target())
    raw = bytearray(data.read_bytes())
    raw[4:400] = bytes(396)
    data.write_bytes(raw)
    with pytest.raises(DataError, match="damaged|must"):
        convert(copy, tmp_path / "p.zarr", Target())
    data.unlink()
    data.symlink_to(theirs / "data/chunk-000/file-000.parquet")
    with pytest.raises(DataError, match="must lie in their folder"):
        convert(copy, tmp_path / "q.zarr", Target())


def test_without_clouds_and_camera_it_says_what_is_needed(theirs, tmp_path):
    copy = _copy(theirs, tmp_path)
    file = copy / "meta/info.json"
    info = json.loads(file.read_text())
    info["features"]["observation.points"] = info["features"].pop("observation.point_cloud")
    file.write_text(json.dumps(info))
    with pytest.raises(ConfigError, match=r"camera with depth.*layout"):
        convert(copy, tmp_path / "o.zarr", Target())
    target = Target(layout=LeRobotLayout(point_cloud="observation.points"))
    with pytest.raises(DataError, match="columns"):
        convert(copy, tmp_path / "o.zarr", target)
    with pytest.raises(ConfigError, match="no layout"):
        convert(copy, tmp_path / "o.zarr", Target(layout=LeRobotLayout()), format="dapg")


def test_a_feature_that_is_not_what_the_layout_says_is_refused(theirs, tmp_path):
    def error(kind, **words):
        with pytest.raises(kind) as found:
            convert(theirs, tmp_path / "o.zarr", Target(layout=LeRobotLayout(**words)))
        return str(found.value)

    def camera(**words):
        return {"camera": CameraLayout(intrinsics=[4, 4, 3, 2], **words)}

    assert "observation.point_cloud'" in error(DataError, point_cloud="observation.points")
    assert "'float32', (5, 7)" in error(DataError, point_cloud="observation.depth")
    assert "depth images" in error(DataError, **camera(depth="observation.images.img"))
    color = camera(depth="observation.depth", color="observation.images.img")
    assert "(32, 48, 3), depth (5, 7)" in error(DataError, **color)


@pytest.mark.parametrize("dtype", ["video", "image"])
def test_depth_that_says_its_unit_is_not_scaled_again(dtype, theirs, tmp_path):
    copy = _copy(theirs, tmp_path)
    file = copy / "meta/info.json"
    info = json.loads(file.read_text())
    name = "observation.images.img"
    info["features"][name].update(dtype=dtype, info={"is_depth_map": True})
    file.write_text(json.dumps(info))
    camera = CameraLayout(name, [4, 4, 3, 2], metres_per_unit=0.001)
    with pytest.raises(ConfigError, match="itself says its unit.*leave metres_per_unit out"):
        convert(copy, tmp_path / "o.zarr", Target(layout=LeRobotLayout(camera=camera)))


def test_frames_are_found_by_their_time(tmp_path):
    from mfpolicy.data.converting.lerobot_v3.info import Feature
    from mfpolicy.data.converting.lerobot_v3.video import read_video

    frames = _moving(20, (32, 48))
    video = VideoWriter(tmp_path / "v.mp4", (32, 48), 12.5)
    video.append(frames)
    video.close()
    feature = Feature("video", (32, 48, 3), {})
    part = read_video(tmp_path / "v.mp4", feature, 7 / 12.5, 5, 12.5)
    assert np.abs(part.astype(int) - frames[7:12]).mean() < 3
    with pytest.raises(DataError, match="must have 5 frames"):
        read_video(tmp_path / "v.mp4", feature, 17 / 12.5, 5, 12.5)
    assert layout.file_name(layout.DATA_PATH, 1001) == "data/chunk-001/file-001.parquet"
