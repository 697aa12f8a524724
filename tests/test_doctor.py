"""The doctor: what it calls ok works, what is wrong is found, and nothing can hang it."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from mfpolicy import cli
from mfpolicy.doctor import Check
from mfpolicy.doctor.hardware import (
    check_choice,
    check_disk,
    check_rendering,
    check_torch,
    probe_backend,
)
from mfpolicy.doctor.software import (
    check_import_name,
    check_packages,
    check_physics_pair,
    check_python,
)

REMEDIABLE = ("missing", "warning")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Returns a function that puts a distribution with metadata, but without code, on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(name, version, *requires, python=">=3.8"):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Python: {python}", *(f"Requires-Dist: {line}" for line in requires)]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")

    return put


@pytest.fixture
def asks_for(monkeypatch):
    """Returns a function that sets the variables that ask for a backend, and no others."""

    def ask(**variables):
        for name in ("MFPOLICY_RENDER", "MUJOCO_GL"):
            monkeypatch.setenv(name, variables.get(name, ""))

    return ask


@pytest.fixture
def findings(monkeypatch):
    """Returns a function that makes the doctor find what it is given."""

    def find(*checks):
        monkeypatch.setattr("mfpolicy.doctor.examine", lambda: list(checks))

    return find


def test_each_requirement_is_held_against_what_is_installed(install):
    install("needy", "1.0", "fresh>=2", "stale>=2", "absent>=1", 'other>=9; extra == "dev"')
    install("fresh", "2.1")
    install("stale", "1.9")
    checks = {check.name: check for check in check_packages("needy")}
    assert set(checks) == {"needy", "fresh", "stale", "absent"}
    assert checks["fresh"].status == "ok"
    assert checks["stale"].status == "missing"
    assert "1.9" in checks["stale"].detail
    assert checks["stale"].remedy == "pip install 'stale>=2'"
    assert checks["absent"].detail == "not installed"


def test_a_package_that_runs_from_a_folder_is_told_how_to_be_installed():
    (check,) = check_packages("no-distribution-of-this-name")
    assert check.status == "missing"
    assert "pip install" in check.remedy


def test_the_physics_pair_that_metaworld_asks_for_is_recognised(install):
    assert check_physics_pair().status == "ok"
    install("mujoco", "4.0.0")
    check = check_physics_pair()
    assert check.status == "missing"
    assert "4.0.0" in check.detail
    assert "mujoco==" in check.remedy


def test_this_interpreter_is_supported(install, monkeypatch):
    assert check_python().status == "ok"
    monkeypatch.setattr("mfpolicy.doctor.software.DISTRIBUTION", "needy")
    install("needy", "1.0", python=">=4")
    assert check_python().status == "missing"


@pytest.mark.parametrize("name", ["envs", "real_robot"])
def test_a_foreign_package_of_our_name_is_found(name, tmp_path, monkeypatch):
    assert check_import_name(name).status == "ok"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    check = check_import_name(name)
    assert check.status == "missing"
    assert str(tmp_path) in check.detail


def test_a_foreign_package_of_our_name_stops_a_command_with_one_message(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "mfpolicy", "tasks"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == cli.USER_ERROR
    assert done.stderr.count("\n") == 1
    assert str(tmp_path) in done.stderr
    assert "mfpolicy doctor" in done.stderr


@pytest.mark.render
def test_some_backend_renders_here_and_the_others_are_optional(asks_for):
    asks_for()
    checks = {check.name: check for check in check_rendering()}
    assert {check.status for check in checks.values()} <= {"ok", "optional"}
    assert "ms a 128-px frame" in checks["rendering (raycast)"].detail
    chosen = checks["rendering"].detail.partition(" ")[0]
    assert chosen in ("egl", "osmesa", "glfw")
    assert checks[f"rendering ({chosen})"].status == "ok"


def test_where_no_opengl_renders_rays_do_and_a_warning_has_the_remedy(monkeypatch, asks_for):
    asks_for(MFPOLICY_RENDER="raycast")
    broken = {platform.system(): ("no-such-backend",)}
    monkeypatch.setattr("mfpolicy.doctor.hardware.GL_BACKENDS", broken)
    opengl, rays, choice = check_rendering()
    assert (opengl.status, rays.status, choice.status) == ("warning", "ok", "warning")
    assert "no-such-backend" in opengl.detail
    assert "no pictures" in choice.detail
    assert "libegl1" in choice.remedy


def test_where_nothing_renders_each_is_missing_and_has_a_remedy(monkeypatch, asks_for):
    asks_for(MFPOLICY_RENDER="raycast")
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    checks = check_rendering()
    assert {check.status for check in checks} == {"missing"}
    assert all(check.remedy for check in checks)


def test_a_backend_that_was_asked_for_in_vain_is_missing_with_its_remedy(asks_for):
    asks_for(MUJOCO_GL="vulkan")
    check = check_choice([])
    assert check.status == "missing"
    assert "unset MUJOCO_GL" in check.remedy


def test_the_remedy_for_a_broken_backend_names_debian_packages(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    assert "libegl1" in probe_backend("egl").remedy
    assert "libosmesa6" in probe_backend("osmesa").remedy


def test_a_backend_that_hangs_is_given_up(monkeypatch):
    check = probe_backend("egl", timeout_s=0.01)
    assert check.status == "warning"
    assert "no answer within 0.01 s" in check.detail


def test_torch_computes_on_the_cpu():
    first = check_torch()[0]
    assert first.name == "compute (cpu)"
    assert first.status == "ok"
    assert "threads" in first.detail


@pytest.mark.parametrize(("free_gb", "status"), [(0.1, "missing"), (2, "warning"), (50, "ok")])
def test_free_disk_decides(free_gb, status, monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, int(free_gb * 1e9)))
    check = check_disk(tmp_path)
    assert check.status == status
    assert bool(check.remedy) == (status in REMEDIABLE)


def test_exit_code_1_only_if_something_essential_is_missing(findings, capsys):
    findings(Check("a", "ok", "fine"), Check("b", "warning", "slow", "do this"))
    assert cli.main(["doctor"]) == 0
    assert "do this" in capsys.readouterr().out
    findings(Check("a", "ok", "fine"), Check("b", "missing", "none", "get it"))
    assert cli.main(["doctor"]) == 1
    assert "Essential and missing: b." in capsys.readouterr().out


@pytest.mark.render
def test_the_findings_of_this_machine_as_json(capsys):
    code = cli.main(["doctor", "--json"])
    checks = [Check(**check) for check in json.loads(capsys.readouterr().out)]
    assert code == int(any(check.status == "missing" for check in checks))
    assert {"python", "import envs", "compute (cpu)", "wandb", "disk"} <= {c.name for c in checks}
    assert all(check.remedy for check in checks if check.status in REMEDIABLE)
