"""The recipe survives JSON and refuses what cannot be."""

from __future__ import annotations

import json

import pytest

from mfpolicy.errors import DataError
from mfpolicy.pointcloud import PointCloudRecipe

VALUES = {
    "camera": "top",
    "camera_position": [0, 0, 1.5],
    "image_size": 84,
    "crop_min": [-1, -1, 0],
    "crop_max": [1, 1, 1],
    "points": 512,
}


def test_recipe_survives_json() -> None:
    recipe = PointCloudRecipe.from_dict(VALUES)
    again = PointCloudRecipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert again == recipe
    assert hash(again) == hash(recipe)
    assert again.camera_position == (0.0, 0.0, 1.5)


def test_what_earlier_versions_did_not_know_is_written_only_where_it_says_something() -> None:
    assert PointCloudRecipe.from_dict(VALUES).to_dict() == {
        **VALUES,
        "sampling": "fps",
        "frame": "world",
    }
    more = {"camera_orientation": [0.6, 0.8, 0.0, 0.0], "hidden_bodies": ["table"]}
    recipe = PointCloudRecipe.from_dict({**VALUES, **more})
    assert {key: recipe.to_dict()[key] for key in more} == more
    assert PointCloudRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_further_cameras_survive_json() -> None:
    side = {"camera": "side", "camera_position": [1, 0, 0.5]}
    turned = {**side, "camera": "low", "camera_orientation": [0.6, 0.8, 0.0, 0.0]}
    more = {"further_cameras": [side, turned], "clouds": "apart", "points": 510}
    recipe = PointCloudRecipe.from_dict({**VALUES, **more})
    assert [view.camera for view in recipe.views] == ["top", "side", "low"]
    assert {key: recipe.to_dict()[key] for key in more} == more
    again = PointCloudRecipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert (again, hash(again), again.to_dict()) == (recipe, hash(recipe), recipe.to_dict())
    assert (recipe.parts, PointCloudRecipe.from_dict(VALUES).parts) == (3, 1)


SIDE = {"camera": "side", "camera_position": [1, 0, 0.5]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"point": 512}, "did you mean 'points'"),
        ({"points": 0}, "points must be a whole number"),
        ({"points": 12.5}, "points must be a whole number"),
        ({"image_size": True}, "image_size must be a whole number"),
        ({"crop_min": [-1, -1, 2]}, "below that of crop_max"),
        ({"crop_min": [-1, -1]}, "crop_min must be three numbers"),
        ({"crop_max": "1 1 1"}, "crop_max must be three numbers"),
        ({"camera_position": [0, 0, float("nan")]}, "camera_position must be finite"),
        ({"camera_position": None}, "camera_position must be three numbers"),
        ({"camera_orientation": [1, 0, 0]}, "camera_orientation must be four numbers"),
        ({"camera_orientation": [2, 0, 0, 0]}, "quaternion of length 1.*2.0"),
        ({"hidden_bodies": [1]}, "hidden_bodies must be a list of names"),
        ({"sampling": "random"}, r"sampling .* must be one of \['fps'\]"),
        ({"frame": "camera"}, r"frame .* must be one of \['world'\]"),
        ({"camera": 3}, "must be the name of a camera.*3"),
        ({"clouds": "appart"}, "clouds .* must be one of.*appart"),
        ({"clouds": "apart"}, "two cameras at least.*top"),
        ({"further_cameras": "side"}, "must be a list of cameras.*side"),
        ({"further_cameras": ["side"]}, "must have a name and a position.*side"),
        ({"further_cameras": [{"camera": "side"}]}, r"needs the keys \['camera_position'\]"),
        ({"further_cameras": [{**SIDE, "position": 1}]}, "no key of this name.*did you mean"),
        ({"further_cameras": [{**SIDE, "camera": "top"}]}, "must be named once.*'top', 'top'"),
        (
            {"further_cameras": [SIDE], "clouds": "apart", "points": 511},
            "multiple of the number of cameras.*511 points, 2 cameras.*take 510",
        ),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        PointCloudRecipe.from_dict({**VALUES, **change})


@pytest.mark.parametrize("missing", sorted(VALUES))
def test_a_missing_key_is_named(missing: str) -> None:
    with pytest.raises(DataError, match=missing):
        PointCloudRecipe.from_dict({key: VALUES[key] for key in VALUES if key != missing})
