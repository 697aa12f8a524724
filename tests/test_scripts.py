"""The set-up scripts on machines that lack something: simulated by what is on the PATH."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "scripts").glob("*.sh")) + [ROOT / ".ci" / "run"]
TOOLS = ["bash", "cat", "cksum", "dirname", "env", "grep", "mkdir", "rm", "touch"]


class Machine:
    """A copy of the scripts, and a PATH that holds a few tools and whatever a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.bin = folder / "bin"
        self.bin.mkdir()
        shutil.copytree(ROOT / "scripts", self.project / "scripts")
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.project)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.has("uname", "echo Linux")
        self.has("id", "echo 1000")

    def has(self, name: str, script: str) -> None:
        """Puts a command on the PATH."""
        (self.bin / name).write_text(f"#!{self.bin}/bash\n{script}\n")
        (self.bin / name).chmod(0o755)

    def run(self, words: str) -> subprocess.CompletedProcess[str]:
        """Sources setup.sh in bash, as the scripts do, and runs ``words``."""
        return subprocess.run(
            [self.bin / "bash", "-c", f"set -euo pipefail; source scripts/setup.sh; {words}"],
            cwd=self.project,
            env={"PATH": str(self.bin), "HOME": str(self.project)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def debian(machine):
    """Debian with apt, where no package is installed and every command is noted in a log."""
    machine.has("dpkg-query", "exit 1")
    machine.has("apt-get", f'echo "apt-get $*" >> {machine.project}/log')
    return machine


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_bash(path):
    subprocess.run(["bash", "-n", path], check=True, timeout=60)
    if path.name != "setup.sh":
        assert path.stat().st_mode & 0o111
        assert "set -euo pipefail" in path.read_text()


def test_without_root_and_sudo_the_missing_packages_are_named(debian):
    done = debian.run("install_system_libraries")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "apt-get install libegl1" in done.stderr
    assert not (debian.project / "log").exists()


def test_root_installs_exactly_what_is_missing(debian):
    debian.has("id", "echo 0")
    debian.has("dpkg-query", 'case "$*" in *libgomp1|*libusb*) exit 1;; *) echo "ii ";; esac')
    done = debian.run("install_system_libraries; install_system_libraries >/dev/null")
    assert done.returncode == 0, done.stderr
    log = (debian.project / "log").read_text().splitlines()
    assert log[0].startswith("apt-get update")
    assert log[1].endswith("libusb-1.0-0 libgomp1")


def test_who_is_not_root_goes_through_sudo(debian):
    debian.has("sudo", f'echo "sudo" >> {debian.project}/log; "$@"')
    done = debian.run("apt_install libegl1")
    assert done.returncode == 0, done.stderr
    log = (debian.project / "log").read_text().splitlines()
    assert log[0] == "sudo"
    assert log[2:] == ["sudo", log[3]]
    assert log[3].endswith("libegl1")


def test_complete_packages_need_neither_apt_nor_root(debian):
    debian.has("dpkg-query", 'echo "ii "')
    assert debian.run("install_system_libraries").returncode == 0
    assert not (debian.project / "log").exists()


def test_a_linux_without_apt_goes_on_with_a_hint(machine):
    done = machine.run("install_system_libraries")
    assert done.returncode == 0
    assert "libegl1" in done.stderr


def test_a_browser_is_installed_where_there_is_none(debian):
    debian.has("id", "echo 0")
    done = debian.run("install_browser")
    assert done.returncode == 0, done.stderr
    assert (debian.project / "log").read_text().rstrip().endswith("chromium-headless-shell")
    (debian.project / "log").unlink()
    debian.has("chromium", "exit 0")
    assert debian.run("install_browser").returncode == 0
    assert not (debian.project / "log").exists()


@pytest.mark.parametrize("apt", [True, False])
def test_without_a_browser_the_checks_go_on_and_say_so(machine, apt):
    if apt:
        machine.has("dpkg-query", "exit 1")
        machine.has("apt-get", "exit 100")
        machine.has("id", "echo 0")
    done = machine.run("install_browser")
    assert done.returncode == 0
    assert "need Chromium or Chrome" in done.stderr


def test_no_supported_python_is_one_clear_message(machine):
    machine.has("python3", 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    done = machine.run("make_environment")
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13" in done.stderr
    assert "here is Python 3.9.2" in done.stderr
    assert "PYTHON=/path/to/python" in done.stderr


def test_a_python_that_cannot_run_is_passed_over(machine):
    machine.has("python3.11", "exit 127")
    machine.has("python3.12", f'exec {sys.executable} "$@"')
    assert machine.run("try_pythons makes_venvs").stdout == "python3.12\n"


def test_the_python_of_the_users_choice_comes_first(machine):
    machine.has("python3.11", f'exec {sys.executable} "$@"')
    machine.has("mine", f'exec {sys.executable} "$@"')
    assert machine.run("PYTHON=mine; try_pythons").stdout == "mine\n"


def test_an_environment_is_complete_until_the_pins_change(machine):
    environment = machine.project / ".venv"
    (environment / "bin").mkdir(parents=True)
    machine.has("python", "exit 0")
    (environment / "bin" / "python").symlink_to(machine.bin / "python")

    def complete(extras):
        return machine.run(f"is_complete '{extras}' && echo yes || echo no").stdout.strip()

    assert complete("") == "no"
    machine.run("stamp '' > .venv/.complete")
    assert (complete(""), complete("dev")) == ("yes", "no")
    machine.run("stamp dev > .venv/.complete")
    assert (complete(""), complete("dev")) == ("yes", "yes")
    with (machine.project / "constraints.txt").open("a") as constraints:
        constraints.write("numpy==1\n")
    assert (complete(""), complete("dev")) == ("no", "no")
