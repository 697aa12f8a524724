"""What lies in a recording for rerun, read back by rerun's own reader."""

from __future__ import annotations

import numpy as np
import pytest
from rerun.chunk import RrdReader

from mfpolicy import cli
from mfpolicy.data.store import open_dataset
from mfpolicy.errors import BackendError


def _columns(path, entity):
    """All columns of an entity, from the chunks of the recording."""
    found = {}
    for chunk in RrdReader(path).stream():
        if chunk.entity_path == f"/{entity}":
            found |= chunk.to_record_batch().to_pydict()
    return found


@pytest.fixture
def recording(write_dataset, tmp_path, capsys):
    source = write_dataset(5, 3, 4)
    words = ["data", "view", str(source), f"out={tmp_path}/toy.rrd", "episode=2,0", "points=7"]
    assert cli.main([*words, "every=2"]) == 0
    assert "2 of 3 episodes" in capsys.readouterr().out
    return open_dataset(source), tmp_path / "toy.rrd"


@pytest.mark.parametrize("index", [0, 2])
def test_every_shown_step_is_in_it(recording, index):
    dataset, path = recording
    episode = dataset.episode(index)
    cloud = _columns(path, f"episode_{index}/cloud")
    assert cloud["step"] == list(range(0, len(episode), 2))
    np.testing.assert_array_equal(
        np.array(cloud["Points3D:positions"], np.float32), episode.point_cloud[::2, :7]
    )
    packed = np.array(cloud["Points3D:colors"], np.uint32)  # (T, 7): red, green, blue, opaque
    colors = np.stack([packed >> shift & 255 for shift in (24, 16, 8)], axis=-1)
    np.testing.assert_array_equal(colors, episode.color[::2, :7])
    for name, values in (("state", episode.agent_pos), ("action", episode.action)):
        curve = _columns(path, f"episode_{index}/{name}")
        np.testing.assert_allclose(curve["Scalars:scalars"], values[::2])
        assert curve["SeriesLines:names"] == [[f"{name} {i}" for i in range(values.shape[1])]]


def test_the_layout_has_a_tab_an_episode_and_others_are_not_there(recording):
    _, path = recording
    reader = RrdReader(path)
    assert len(list(reader.recordings())) == len(list(reader.blueprints())) == 1
    entities = {chunk.entity_path for chunk in reader.stream()}
    assert {"/episode_0/cloud", "/episode_2/cloud"} <= entities
    assert not any(entity.startswith("/episode_1") for entity in entities)
    assert [each.name for each in path.parent.glob("*.rrd*")] == ["toy.rrd"]


def test_images_come_with_the_camera_that_took_them(tmp_path, spec, make_episode):
    import dataclasses

    from mfpolicy.data.store import DatasetWriter
    from mfpolicy.data.viewing import viewed_episodes, write_recording

    pose = np.eye(4)
    pose[:3, 3] = (1, 2, 3)
    camera = {"intrinsics": [[8, 0, 4], [0, 8, 4], [0, 0, 1]], "T_world_cam": pose.tolist()}
    image = np.full((3, 8, 8, 3), (200, 100, 50), np.uint8)
    with DatasetWriter.open(
        tmp_path / "a.zarr", dataclasses.replace(spec, camera=camera)
    ) as writer:
        writer.append(dataclasses.replace(make_episode(0, 3), extras={"image": image}))
    dataset = open_dataset(tmp_path / "a.zarr")
    path = write_recording(dataset, viewed_episodes(dataset, [0]), tmp_path / "a.rrd")
    stands = _columns(path, "episode_0/camera")
    assert stands["Transform3D:translation"] == [[[1, 2, 3]]]
    assert stands["Pinhole:resolution"] == [[[8, 8]]]
    frames = [
        chunk.to_record_batch().to_pydict()
        for chunk in RrdReader(path).stream()
        if chunk.entity_path == "/episode_0/camera/image"
    ]
    assert sorted(step for frame in frames for step in frame["step"]) == [0, 1, 2]


def test_without_a_screen_the_viewer_says_what_to_do(write_dataset, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert cli.main(["data", "view", str(write_dataset(3))]) == 2
    assert "out=episode.html opens in any browser" in capsys.readouterr().err


def test_without_the_sdk_it_names_the_package(write_dataset, tmp_path, monkeypatch):
    import sys

    from mfpolicy.data.viewing import write_recording

    monkeypatch.setitem(sys.modules, "rerun", None)
    dataset = open_dataset(write_dataset(3))
    with pytest.raises(BackendError, match=r"pip install 'mfpolicy\[view\]'"):
        write_recording(dataset, [], tmp_path / "a.rrd")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["out=toy.mp4"], "out must end with .html or .rrd"),
        (["episode=9", "out=a.html"], "episodes must be among 0 to 0"),
        (["points=99", "out=a.html"], "among 1 and the 12 that are stored"),
        (["every=0", "out=a.html"], "every must be at least 1"),
        (["out=missing/../../a.html/b.html"], "could not be written"),
    ],
)
def test_what_cannot_be_shown_is_explained(
    write_dataset, tmp_path, monkeypatch, capsys, words, said
):
    source = write_dataset(3)
    monkeypatch.chdir(tmp_path)
    (tmp_path.parent / "a.html").write_text("a file, no folder")
    assert cli.main(["data", "view", str(source), *words]) == 2
    assert said in capsys.readouterr().err
