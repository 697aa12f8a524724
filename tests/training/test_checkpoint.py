"""Checkpoints: two kept, a damaged one of any kind passed over, a full disk reported."""

import json

import pytest
import torch
from safetensors.torch import save_file

from mfpolicy.errors import RunError
from mfpolicy.policy.tensor_file import STAGING, write_tensors
from mfpolicy.training.checkpoint import (
    TrainingState,
    flatten,
    load_state,
    newest_state,
    save_state,
    unflatten,
)
from oracles.full_disk import FullDisk


def _state(step: int) -> TrainingState:
    random = torch.Generator().manual_seed(step)
    tensors = {"policy/w": torch.randn(100, generator=random), "optimizer/step/w": torch.ones(())}
    return TrainingState(
        step, {**tensors, "policy/empty": torch.ones(0, 3)}, {"seconds": 0.1 + step}
    )


def _assert_is(state: TrainingState | None, step: int) -> None:
    assert state is not None
    assert (state.step, state.numbers) == (step, {"seconds": 0.1 + step})
    expected = _state(step).tensors
    assert state.tensors.keys() == expected.keys()
    assert all(torch.equal(state.tensors[name], expected[name]) for name in expected)


def _names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_is_loaded_and_two_are_kept(tmp_path):
    for step in (5, 10, 15, 100):
        save_state(tmp_path, _state(step))
    assert _names(tmp_path) == ["step-00000015.safetensors", "step-00000100.safetensors"]
    assert newest_state(tmp_path) == tmp_path / "step-00000100.safetensors"
    _assert_is(load_state(tmp_path), 100)


def test_without_a_checkpoint_there_is_none(tmp_path):
    assert load_state(tmp_path / "nothing") is None
    assert newest_state(tmp_path / "nothing") is None


def _header_end(content: bytes) -> int:
    return 8 + int.from_bytes(content[:8], "little")


def _cut(content: bytes, where: int) -> bytes:
    return content[:where]


def _zeroed(content: bytes, where: int) -> bytes:
    return content[:where] + bytes(len(content) - where)


@pytest.mark.parametrize("damage", [_cut, _zeroed])
def test_a_power_cut_that_loses_the_end_of_the_newest_is_seen_at_every_length(tmp_path, damage):
    """Truncated, or of full size with zeros where bytes had not reached the disk."""
    previous = save_state(tmp_path, _state(5))
    newest = save_state(tmp_path, _state(10))
    content = newest.read_bytes()
    header = _header_end(content)
    lengths = {*range(10), header - 1, header, header + 1, *range(12, len(content), 37)}
    last = max(i for i in range(len(content)) if content[i])
    for length in sorted({*lengths, last - 1, last}):
        newest.write_bytes(damage(content, length))
        with pytest.warns(UserWarning, match="damaged checkpoint.*step-00000010"):
            _assert_is(load_state(tmp_path), 5)
    assert _names(tmp_path) == [previous.name, "step-00000010.damaged"]


def test_a_single_changed_byte_of_a_value_is_seen(tmp_path):
    save_state(tmp_path, _state(5))
    newest = save_state(tmp_path, _state(10))
    content = bytearray(newest.read_bytes())
    content[-100] ^= 1
    newest.write_bytes(content)
    with pytest.warns(UserWarning, match="checksum"):
        _assert_is(load_state(tmp_path), 5)


def _other_metadata(value: object):
    def write(path) -> None:
        save_file({"policy/w": torch.ones(3)}, path, metadata={"mfpolicy_training": value})

    return write


GARBAGE = {
    "text": lambda path: path.write_text("not a checkpoint\n" * 50),
    "noise": lambda path: path.write_bytes(torch.arange(4000).mul(2654435761).numpy().tobytes()),
    "huge header": lambda path: path.write_bytes(b"\xff" * 7 + b"\x00" + b"{}" * 100),
    "other tensors": lambda path: save_file({"a": torch.ones(3)}, path),
    "no number": _other_metadata("[]"),
    "no JSON": _other_metadata("{"),
    "no checksum": _other_metadata(json.dumps({"step": 10, "numbers": {}})),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_newest_one_of_garbage_is_passed_over(tmp_path, kind):
    save_state(tmp_path, _state(5))
    GARBAGE[kind](tmp_path / "step-00000010.safetensors")
    with pytest.warns(UserWarning, match="step-00000010"):
        _assert_is(load_state(tmp_path), 5)
    save_state(tmp_path, _state(10))
    _assert_is(load_state(tmp_path), 10)


def test_a_damaged_one_takes_no_whole_ones_place(tmp_path):
    """Whatever its step, it goes with the next checkpoint, and two whole ones are kept."""
    save_state(tmp_path, _state(5))
    (tmp_path / "step-00000010.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="step-00000010"):
        load_state(tmp_path)
    assert _names(tmp_path) == ["step-00000005.safetensors", "step-00000010.damaged"]
    save_state(tmp_path, _state(12))
    assert _names(tmp_path) == ["step-00000005.safetensors", "step-00000012.safetensors"]


def test_a_checkpoint_is_never_removed_for_one_of_a_later_step(tmp_path):
    """The step just written counts, not the highest number in the folder."""
    for step in (20, 30):
        save_state(tmp_path, _state(step))
    save_state(tmp_path, _state(25))
    assert _names(tmp_path) == ["step-00000020.safetensors", "step-00000025.safetensors"]


def test_when_both_are_damaged_the_run_is_refused_and_nothing_is_touched(tmp_path):
    for step in (5, 10):
        path = save_state(tmp_path, _state(step))
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    before = _names(tmp_path)
    with pytest.raises(RunError, match=r"step-00000010.*step-00000005.*start from step 0"):
        load_state(tmp_path)
    assert _names(tmp_path) == before


def test_a_damaged_first_one_leads_back_to_the_start(tmp_path):
    save_state(tmp_path, _state(5)).write_bytes(b"")
    with pytest.warns(UserWarning, match="step-00000005"):
        assert load_state(tmp_path) is None


def test_a_second_power_cut_is_no_reason_to_start_over(tmp_path):
    """One damaged and set aside, then the other: the run had two, and both are lost."""
    previous = save_state(tmp_path, _state(5))
    save_state(tmp_path, _state(10)).write_bytes(b"")
    with pytest.warns(UserWarning, match="step-00000010"):
        load_state(tmp_path)
    previous.write_bytes(b"")
    with pytest.raises(RunError, match="step-00000005"):
        load_state(tmp_path)


@pytest.mark.parametrize("leave", ["file", "hidden"])
def test_what_a_killed_writer_left_is_removed(tmp_path, leave):
    save_state(tmp_path, _state(5))
    (tmp_path / STAGING).mkdir()
    name = {"file": "step-00000010.safetensors", "hidden": ".tmpQ2x"}[leave]
    (tmp_path / STAGING / name).write_bytes(b"half")
    _assert_is(load_state(tmp_path), 5)
    assert _names(tmp_path) == ["step-00000005.safetensors"]


def test_a_full_disk_is_reported_and_the_previous_checkpoint_stays(tmp_path):
    with FullDisk(tmp_path, megabytes=2) as disk:
        save_state(disk.folder, _state(5))
        large = TrainingState(10, {"policy/w": torch.ones(100_000)})
        with disk.full(free=8192), pytest.raises(RunError, match="free disk space"):
            save_state(disk.folder, large)
        assert _names(disk.folder) == ["step-00000005.safetensors"]
        _assert_is(load_state(disk.folder), 5)
        save_state(disk.folder, _state(10))
        _assert_is(load_state(disk.folder), 10)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="written whole"):
        write_tensors(tmp_path / "file" / "x.safetensors", {"a": torch.ones(2)}, {})


def test_prefixes_come_off_as_they_went_on():
    tensors = {"a.b": torch.ones(2), "c": torch.zeros(1)}
    assert unflatten("ema", {**flatten("ema", tensors), **flatten("policy", tensors)}).keys() == (
        tensors.keys()
    )
