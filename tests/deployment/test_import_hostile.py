"""A checkpoint is data: nothing in it runs, and nothing in it asks for more than it is."""

import io
import operator
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from deployment.released import Released, configuration, payload
from mfpolicy.deployment.importing import import_checkpoint
from mfpolicy.errors import RunError, UserError
from mfpolicy.inert import Inert, read_inert

PROTO = b"\x80\x02"


class _Call:
    """Pickles as the call of a function, which unpickling makes."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


class _Set:
    """Pickles as an object whose ``__setstate__`` gets a state."""

    def __reduce__(self):
        return _Restored, (), "state"


class _Restored:
    marker = ""

    def __setstate__(self, state):
        os.system(f"touch {type(self).marker}")


def _text(value: Path) -> bytes:
    raw = str(value).encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _gadgets(marker: Path) -> dict[str, bytes]:
    """Pickles that make the file ``marker`` when they are loaded as usual."""
    command, name = f"touch {marker}", repr(str(marker))
    write = f"open({name}, 'w').close()"
    nested = io.BytesIO()
    torch.save(_Call(os.system, command), nested)
    calls = {
        "os.system": _Call(os.system, command),
        "eval": _Call(eval, write),
        "exec": _Call(exec, write),
        "methodcaller": _Call(operator.methodcaller("touch"), marker),
        "pickle in a pickle": _Call(pickle.loads, pickle.dumps(_Call(os.system, command))),
        "in a key": {(1, _Call(os.system, command)): 2},
    }
    written = {form: pickle.dumps(call, protocol=4) for form, call in calls.items()}
    line = command.encode()
    written["INST"] = b"(S'" + line + b"'\nios\nsystem\n."
    written["OBJ"] = PROTO + b"(cos\nsystem\n" + _text(Path(command)) + b"o."
    module = b"cbuiltins\n__import__\n(X\x02\x00\x00\x00ostR"
    written["attribute chain"] = (
        PROTO
        + b"cbuiltins\ngetattr\n("
        + module
        + b"X\x06\x00\x00\x00systemtR("
        + _text(Path(command))
        + b"tR."
    )
    written["torch.load"] = (
        PROTO
        + b"ctorch\nload\n(cio\nBytesIO\n("
        + (b"B" + struct.pack("<I", len(nested.getvalue())) + nested.getvalue())
        + b"tRtR."
    )
    return written


FORMS = sorted(_gadgets(Path("nowhere")))


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "executed"


def _make(form: str, marker: Path) -> bytes:
    return _gadgets(marker)[form]


@pytest.mark.parametrize("form", [form for form in FORMS if form != "torch.load"])
def test_each_gadget_does_run_where_pickles_are_loaded(form, marker):
    pickle.loads(_make(form, marker))
    assert marker.exists()


@pytest.mark.parametrize("form", FORMS)
def test_no_gadget_runs_where_checkpoints_are_read(form, marker):
    read_inert(io.BytesIO(_make(form, marker)))
    assert not marker.exists()


def _with_program(path: Path, program: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3\n")
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_hostile_file_is_refused_and_nothing_runs(form, legacy, tmp_path, marker):
    program = _make(form, marker)
    path = tmp_path / "hostile.ckpt"
    if legacy:
        head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
        tail = pickle.dumps([], protocol=2)
        path.write_bytes(b"".join(pickle.dumps(x, protocol=2) for x in head) + program + tail)
    else:
        _with_program(path, program)
    with pytest.raises(RunError):
        import_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("place", ["cfg", "weight", "optimizer", "pickles"])
def test_a_gadget_in_a_whole_checkpoint_never_runs(place, tmp_path, marker):
    gadget = _Call(os.system, f"touch {marker}")
    content = payload("mp1")
    if place == "cfg":
        content["cfg"] = {"policy": {"_target_": "x.Meanpolicy", "horizon": gadget}}
    if place == "weight":
        content["state_dicts"]["ema_model"]["model.final_conv.1.bias"] = gadget
    if place == "optimizer":
        content["state_dicts"]["optimizer"]["state"] = gadget
    if place == "pickles":
        content["pickles"]["epoch"] = pickle.dumps(gadget)
    torch.save(content, tmp_path / "latest.ckpt")
    if place in ("cfg", "weight"):
        with pytest.raises(RunError):
            import_checkpoint(tmp_path / "latest.ckpt")
    else:
        import_checkpoint(tmp_path / "latest.ckpt")
    assert not marker.exists()


def test_setting_a_state_runs_no_method(marker):
    _Restored.marker = str(marker)
    found = read_inert(io.BytesIO(pickle.dumps(_Set())))
    assert isinstance(found, Inert)
    assert found.state == "state"
    assert not marker.exists()


def test_what_a_pickle_sets_on_a_class_stays_with_it():
    """A program may try to set attributes of what it names; the next one must not find them."""
    with pytest.raises(RunError):
        read_inert(io.BytesIO(PROTO + b"cbuiltins\nint\nN}X\x01\x00\x00\x00aI1\ns\x86b."))
    stored = read_inert(io.BytesIO(PROTO + b"cbuiltins\nint\n)R}X\x01\x00\x00\x00aI1\nsb."))
    assert stored.state == {"a": 1}
    fresh = read_inert(io.BytesIO(PROTO + b"cbuiltins\nint\n)R."))
    assert (fresh.arguments, fresh.state, fresh.reference) == ((), None, "builtins.int")
    assert not hasattr(Inert, "a")


@pytest.mark.parametrize(
    "program",
    [
        PROTO + b"]r\xff\xff\xff\x7f.",  # a memo of two thousand million places
        PROTO + b"\x8a\xff",  # cut off
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",  # a terabyte of bytearray
        b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b".",  # a terabyte of text
        PROTO + b"(cos\nsystem\n" * 60_000 + b"l.",
        b"I" + b"9" * 5000 + b"\n.",
        b"",
        b"not a pickle",
        PROTO + b"R.",
        PROTO + b"]]\x93.",
    ],
    ids=["memo", "cut", "bytearray", "text", "names", "number", "empty", "none", "stack", "global"],
)
def test_a_bomb_is_refused(program, tmp_path):
    with pytest.raises(RunError, match="pickle"):
        import_checkpoint(_with_program(tmp_path / "bomb.ckpt", program))


def test_a_configuration_that_unfolds_without_end_is_refused(tmp_path):
    values: list = ["x"]
    for _ in range(40):
        values = [values, values]
    config = {"policy": {"_target_": "x.Meanpolicy"}, "bomb": values}
    torch.save(payload("mp1", cfg=config), tmp_path / "list.ckpt")
    with pytest.raises(RunError, match="at most"):
        import_checkpoint(tmp_path / "list.ckpt")
    names = {f"a{i}": [f"${{a{i + 1}}}"] * 9 for i in range(12)}
    changed = {**names, "policy": {"_target_": "x.Meanpolicy", "horizon": "${a0}"}}
    torch.save(payload("mp1", cfg=changed), tmp_path / "names.ckpt")
    with pytest.raises(RunError, match="at most|must be"):
        import_checkpoint(tmp_path / "names.ckpt")
    circle = configuration("mp1", {"horizon": "${n_obs_steps}", "n_obs_steps": "${horizon}"})
    torch.save(payload("mp1", cfg=circle), tmp_path / "circle.ckpt")
    with pytest.raises(RunError, match="circles"):
        import_checkpoint(tmp_path / "circle.ckpt")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_cut_anywhere_is_refused(legacy, tmp_path):
    path, cut = tmp_path / "whole.ckpt", tmp_path / "cut.ckpt"
    torch.save(payload("mp1"), path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    for share in (0.0, 0.01, 0.3, 0.6, 0.99):
        cut.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(RunError):
            import_checkpoint(cut)


def test_a_program_with_any_byte_changed_is_read_or_refused(tmp_path, marker):
    torch.save(payload("mp1"), tmp_path / "latest.ckpt")
    with zipfile.ZipFile(tmp_path / "latest.ckpt") as archive:
        program = archive.read("latest/data.pkl")
    drawn = np.random.default_rng(0)
    for source in (program[:4000] + b".", *_gadgets(marker).values()):
        for _ in range(150):
            changed = bytearray(source)
            for place in drawn.integers(len(source), size=drawn.integers(1, 4)):
                changed[place] = drawn.integers(256)
            try:
                read_inert(io.BytesIO(bytes(changed)))
            except RunError:
                continue
    assert not marker.exists()


def test_a_checkpoint_with_any_byte_changed_is_read_or_refused(tmp_path):
    path = tmp_path / "latest.ckpt"
    states = {"ema_model": Released("mp1").state()}
    torch.save(payload("mp1", state_dicts=states), path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    outcomes = set()
    for place in np.random.default_rng(0).integers(120_000, size=40):
        changed = bytearray(whole)
        changed[place] ^= 0x15
        path.write_bytes(bytes(changed))
        try:
            import_checkpoint(path)
            outcomes.add("read")
        except UserError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_a_damaged_storage_is_noticed(tmp_path):
    path = tmp_path / "latest.ckpt"
    torch.save(payload("mp1", state_dicts={"ema_model": Released("mp1").state()}), path)
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
    raw = bytearray(path.read_bytes())
    raw[largest.header_offset + largest.file_size // 2] ^= 0xFF
    path.write_bytes(bytes(raw))
    with pytest.raises(RunError):
        import_checkpoint(path)


def test_packed_members_are_refused(tmp_path):
    path = tmp_path / "latest.ckpt"
    torch.save(payload("mp1"), path)
    with (
        zipfile.ZipFile(path) as archive,
        zipfile.ZipFile(tmp_path / "packed.ckpt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for info in archive.infolist():
            packed.writestr(info.filename, archive.read(info))
    with pytest.raises(RunError, match=r"torch\.save"):
        import_checkpoint(tmp_path / "packed.ckpt")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: torch.zeros(1).expand(1 << 30), "within its storage"),
        (lambda t: t.to_sparse(), "dense"),
        (lambda t: t.to(torch.complex64), "number type"),
        (lambda t: t * float("nan"), "finite"),
        (lambda t: t[:-1].clone(), "shape"),
        (lambda t: "weights", "dense"),
    ],
    ids=["expanded", "sparse", "complex", "nan", "shorter", "text"],
)
def test_a_weight_that_is_none_is_refused(change, match, tmp_path):
    state = Released("mp1").state()
    state["model.final_conv.1.bias"] = change(state["model.final_conv.1.bias"])
    torch.save(payload("mp1", state_dicts={"ema_model": state}), tmp_path / "latest.ckpt")
    with pytest.raises(RunError, match=match):
        import_checkpoint(tmp_path / "latest.ckpt")
