"""Bags of both generations and both storages: decoded exactly, matched by their stamps."""

import numpy as np
import pytest
import yaml

from data.converting.bags import DEPTH_M, HEIGHT, KINDS, WIDTH, BagWriter, write_bag
from mfpolicy.cli import main
from mfpolicy.config.convert import from_mapping
from mfpolicy.data import open_dataset
from mfpolicy.data.converting import Target, convert, guess_format
from mfpolicy.data.converting.ros import RosLayout
from mfpolicy.data.converting.ros.bag import Bag
from mfpolicy.data.converting.ros.layout import PointsLayout
from mfpolicy.data.converting.ros.messages import image, intrinsics, point_cloud, values
from mfpolicy.data.converting.ros.timing import matched
from mfpolicy.errors import ConfigError, DataError

WORLD = [[1, 0, 0, 0.5], [0, -1, 0, 0], [0, 0, -1, 2], [0, 0, 0, 1]]
STREAMS = {
    "rate_hz": 10.0,
    "state": [{"topic": "/joint_states", "field": "position", "names": ["a", "b"]},
              {"topic": "/gripper", "field": "data", "match": "hold"}],
    "action": [{"topic": "/command", "field": "data", "match": "next"}],
}  # fmt: skip
CLOUD = {**STREAMS, "cloud": {"topic": "/camera/points", "T_world": WORLD, "frame_id": "camera"}}
DEPTH = {
    **STREAMS,
    "camera": {"depth": "/camera/depth", "color": "/camera/color", "info": "/camera/info",
               "T_world_cam": WORLD},
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def bag(request, tmp_path_factory):
    """One bag of each kind."""
    name = "take.bag" if request.param == "ros1" else f"take_{request.param}"
    return write_bag(tmp_path_factory.mktemp("bags") / name, request.param)


def _convert(bag, layout, tmp_path):
    (tmp_path / "l.yaml").write_text(yaml.safe_dump(layout))
    line = [str(bag), f"out={tmp_path}/o.zarr", f"layout={tmp_path}/l.yaml", "points=30"]
    assert main(["data", "convert", *line]) == 0
    return open_dataset(tmp_path / "o.zarr")


@pytest.mark.parametrize("layout", [CLOUD, DEPTH], ids=["cloud", "depth"])
def test_a_bag_becomes_an_episode(bag, layout, tmp_path, capsys):
    assert guess_format(bag) == "ros"
    found = _convert(bag, layout, tmp_path)
    said = capsys.readouterr().out
    assert "tolerance 50 ms" in said
    assert "/joint_states" in said
    assert (found.spec.control_rate_hz, found.spec.state_dim, found.spec.action_dim) == (10, 3, 2)
    assert found.episode_ends.tolist() == [11]
    episode = found.episode(0)
    apart = episode.extras["stamp_s"] - (100 + np.arange(11) / 10)
    assert np.abs(apart).max() <= 0.5 / 15 + 1e-6
    seen_s = episode.extras["stamp_s"] - 100
    np.testing.assert_allclose(episode.agent_pos[:, 0] - 10, seen_s, atol=0.0101)  # a: +10
    np.testing.assert_allclose(episode.agent_pos[:, 1], seen_s, atol=0.0101)
    np.testing.assert_array_equal(episode.agent_pos[:, 2], seen_s >= 0.5 - 1e-6)
    late = episode.action[:, 0] - seen_s
    assert (late > -1e-5).all()
    assert (late < 0.05).all()
    # 2 m above, looking down: height tells the depth, hence the time, of each cloud.
    depth = 2 - episode.point_cloud[..., 2]
    np.testing.assert_allclose(depth, np.tile(DEPTH_M + seen_s / 10, (30, 1)).T, atol=6e-4)
    columns = (episode.point_cloud[..., 0] - 0.5) / depth * 10 + 3.5
    np.testing.assert_allclose(columns, columns.round(), atol=0.01)
    np.testing.assert_array_equal(episode.color[..., 0], (columns.round() * 5).astype(np.uint8))
    assert (episode.color[..., 2] == 9).all()
    if layout is DEPTH:
        assert found.spec.camera["intrinsics"][0] == [10.0, 0.0, 4.0]  # half a pixel beside ROS's
        assert episode.extras["depth"][0, 0, 0] == 0
        assert tuple(episode.extras["img"][0, 2, 3]) == (15, 10, 9)


def test_a_folder_of_bags_is_several_episodes(tmp_path):
    (tmp_path / "bags").mkdir()
    write_bag(tmp_path / "bags" / "b.bag", "ros1", seconds=0.4)
    write_bag(tmp_path / "bags" / "a.bag", "ros1", seconds=0.6, start_s=7.0)
    found = _convert(tmp_path / "bags", CLOUD, tmp_path)
    assert found.episode_ends.tolist() == [7, 12]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tolerance_s": 0.001}, "/camera/points within 0.001 s"),
        ({"state": [{"topic": "/nothing", "field": "data"}]}, r"topics \['/nothing"),
        ({"state": [{"topic": "/joint_states", "field": "positions"}]}, "field positions"),
        ({"state": [{"topic": "/joint_states", "field": "name"}]}, "must hold numbers"),
        ({"state": [{"topic": "/joint_states", "field": "position", "names": ["x"]}]}, "joints"),
        ({"cloud": {"topic": "/camera/points", "frame_id": "base"}}, "the frame base"),
        ({"cloud": {"topic": "/camera/depth"}}, "of another type.*Image"),
        ({"crop": {"minimum": [5, 5, 5], "maximum": [6, 6, 6]}}, "inside the crop box"),
    ],
)
def test_what_does_not_fit_is_refused(change, message, tmp_path):
    bag = write_bag(tmp_path / "t.bag", "ros1", seconds=0.3)
    layout = from_mapping(RosLayout, {**CLOUD, **change})
    with pytest.raises(DataError, match=message):
        convert(bag, tmp_path / "o.zarr", Target(layout=layout))


def test_a_layout_says_what_it_needs(tmp_path, capsys):
    bag = write_bag(tmp_path / "t.bag", "ros1", seconds=0.3)
    with pytest.raises(ConfigError, match="layout=FILE.yaml"):
        convert(bag, tmp_path / "o.zarr", Target())
    for change, message in (
        ({"rate_hz": -1}, "rate_hz"), ({"match": 1}, "no key"), ({"cloud": None}, "either cloud"),
        ({"state": [{"topc": "/x"}]}, "topic"), ({"stamps": "x"}, "stamps"),
        ({"action": [{"topic": "/x", "field": "__class__"}]}, "a topic and a field"),
    ):  # fmt: skip
        (tmp_path / "l.yaml").write_text(yaml.safe_dump({**CLOUD, **change}))
        line = [str(bag), f"out={tmp_path}/o.zarr", f"layout={tmp_path}/l.yaml"]
        assert main(["data", "convert", *line]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", ["f4", "f8", "i2"])
def test_points_of_any_layout_and_byte_order(kind, big, tmp_path):
    drawn = np.random.default_rng(0)
    xyz, rgb = drawn.integers(-99, 99, (20, 3)), drawn.integers(0, 256, (20, 3))
    writer = BagWriter(tmp_path / "t", "mcap")
    writer.cloud("/p", 1.0, xyz, rgb, kind=kind, big=big, padding=13)
    writer.close()
    bag = Bag(tmp_path / "t")
    (_, received, stamp, raw, name), = bag.messages({"/p"})  # fmt: skip
    assert (round(received, 6), stamp) == (1.003, 1.0)
    message = bag.decoded(raw, name)
    found, colors = point_cloud(message, "")
    np.testing.assert_array_equal(found, xyz)
    np.testing.assert_array_equal(colors, rgb)
    for name, value in (("row_step", 10**9), ("height", 2**31), ("width", 21), ("point_step", 5)):
        worse = type(message)(**{**vars(message), name: value})
        with pytest.raises(DataError, match="must have the data|within a point"):
            point_cloud(worse, "")
    bag.close()


def test_camera_info_of_another_size_is_refused(tmp_path):
    writer = BagWriter(tmp_path / "t.bag", "ros1")
    writer.camera_info("/camera/info", 1.0)
    for time in (1.0, 1.1, 1.2):
        writer.image("/camera/depth", time, np.full((HEIGHT // 2, WIDTH // 2), 800, np.uint16),
                     "16UC1")  # fmt: skip
        writer.command("/command", time, [0.0])
    writer.close()
    words = {"rate_hz": 10.0, "camera": {"depth": "/camera/depth", "info": "/camera/info"},
             "state": [{"topic": "/command", "field": "data"}],
             "action": [{"topic": "/command", "field": "data"}]}  # fmt: skip
    target = Target(layout=from_mapping(RosLayout, words))
    with pytest.raises(DataError, match=r"size of the images.*\(6, 8\), \(3, 4\)"):
        convert(tmp_path / "t.bag", tmp_path / "o.zarr", target)


def test_other_messages_are_refused(tmp_path):
    writer = BagWriter(tmp_path / "t", "sqlite3")
    writer.camera_info("/i", 1.0, distortion=0.1)
    writer.image("/m", 1.0, np.zeros((2, 2), np.uint8), "bayer_rggb8")
    writer.joints("/j", 1.0, [1, 2, 3])
    writer.close()
    bag = Bag(tmp_path / "t")
    read = {topic: bag.decoded(raw, kind)
            for topic, _, _, raw, kind in bag.messages({"/i", "/m", "/j"})}  # fmt: skip
    with pytest.raises(DataError, match="rectified"):
        intrinsics(read["/i"], "/i")
    with pytest.raises(DataError, match="bayer_rggb8"):
        image(read["/m"], "")
    assert values(read["/j"], "position.1", None, "").tolist() == [2]
    bag.close()


def test_definitions_in_a_bag_are_not_carried_out(tmp_path):
    writer = BagWriter(tmp_path / "t.bag", "ros1")
    from rosbags.typesys import get_types_from_msg

    writer.types.register(get_types_from_msg("float64[] data", "mine/msg/Own"))
    writer.write("/own", writer.make("mine/msg/Own", data=np.zeros(2)), 1.0)
    writer.close()
    bag = Bag(tmp_path / "t.bag")
    with pytest.raises(DataError, match="standard types"):
        next(bag.messages({"/own"}))
    bag.close()


def test_damage_is_told(tmp_path):
    for kind in KINDS:
        path = write_bag(tmp_path / (f"{kind}.bag" if kind == "ros1" else kind), kind, seconds=0.2)
        file = path if path.is_file() else next(f for f in path.iterdir() if f.suffix != ".yaml")
        raw = file.read_bytes()
        file.write_bytes(raw[: len(raw) * 2 // 3])
        layout = RosLayout(**{**STREAMS, "cloud": PointsLayout("/camera/points")})
        with pytest.raises(DataError, match="damaged|must be a bag|must have"):
            convert(path, tmp_path / "o.zarr", Target(layout=layout), format="ros")


def test_messages_are_matched_in_time():
    stamps, times = np.array([0.0, 1.0, 2.0]), np.array([-1, 0.4, 0.6, 1.0, 5.0])
    assert matched(stamps, times, "nearest").tolist() == [0, 0, 1, 1, 2]
    assert matched(stamps, times, "next").tolist() == [0, 1, 1, 1, 2]
    assert matched(stamps, times, "hold").tolist() == [0, 0, 0, 1, 2]
