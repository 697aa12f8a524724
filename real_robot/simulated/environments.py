"""Where the processes of a closed loop run: a Python with ROS, our packages, their own domain."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mfpolicy.errors import BackendError, ConfigError
from mfpolicy.options import check_whole

DISTRIBUTIONS = ("jazzy", "kilted")
FOLDER_VARIABLE = "MFPOLICY_ROS"
_DEFAULT_FOLDER = ".ros"
_OF_THE_WHEELS = ("LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")
_PACKAGES = ("mfpolicy", "real_robot", "envs")
_TOLD_VERSIONS = ("rclpy", "rmw-fastrtps-cpp")
_LARGEST_DOMAIN = 101  # above, its ports are those that Linux gives to others


def ros_python(distribution: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """The Python of a distribution of ROS, as ``scripts/ros_environments.sh`` makes it.

    Args:
        distribution: one of ``DISTRIBUTIONS``.
        folder: that holds the environments; None takes the variable ``MFPOLICY_ROS``, else ``.ros``
            of the working directory.

    Raises:
        ConfigError: there is no such distribution.
        BackendError: its environment is not there.
    """
    if distribution not in DISTRIBUTIONS:
        raise ConfigError(
            "a distribution must be one of " + ", ".join(DISTRIBUTIONS), received=distribution
        )
    where = Path(folder or os.environ.get(FOLDER_VARIABLE, _DEFAULT_FOLDER)).absolute()
    python = where / distribution / "bin" / "python"
    if not python.exists():
        raise BackendError(
            f"a closed loop needs an environment with ROS 2 {distribution}",
            received=f"no {python}",
            remedy=f"run bash scripts/ros_environments.sh {where} {distribution}, or name the "
            f"folder with {FOLDER_VARIABLE}",
        )
    return python


def without_ros(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables of a process without those that a Python with the wheels of ROS sets for itself.

    A Python of another distribution that inherits them looks for its libraries in the wrong place.

    Example:
        >>> without_ros({"HOME": "/", "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"})
        {'HOME': '/'}
    """
    return {name: value for name, value in variables.items() if name not in _OF_THE_WHEELS}


def own_domain(offset: int = 0) -> int:
    """A ROS domain that other processes of this machine hardly use: 1 to ``_LARGEST_DOMAIN``.

    Args:
        offset: tells loops of one process apart.
    """
    return 1 + (os.getpid() + offset) % _LARGEST_DOMAIN


def ros_versions(python: Path, timeout_s: float = 60.0) -> dict[str, str]:
    """Versions of the client library and the middleware in a Python with ROS.

    Raises:
        BackendError: it has no ROS, or does not answer in time.
    """
    code = (
        "import importlib.metadata as m, json\n"
        f"print(json.dumps({{n: m.version('ros-' + n) for n in {_TOLD_VERSIONS!r}}}))"
    )
    try:
        done = subprocess.run(
            [python, "-c", code],
            env=without_ros(os.environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise BackendError(
            f"a Python with ROS must say its versions within {timeout_s:g} s",
            received=f"nothing from {python}",
            remedy="start it by hand: it hangs, or the machine is too busy",
        ) from None
    if done.returncode:
        raise BackendError(
            "a Python with ROS must have the wheels of scripts/ros_environments.sh",
            received=done.stderr.strip()[-300:],
            remedy=f"run it again, without {python.parents[1]}",
        )
    return json.loads(done.stdout)


@dataclass(frozen=True)
class LoopPlace:
    """What the processes of one closed loop share.

    Attributes:
        folder: for parameters and logs; must be there.
        domain_id: of ROS; two loops at once need two. By default the process's own.

    Raises:
        ConfigError: the domain is none that every system has.
    """

    folder: Path
    domain_id: int = field(default_factory=own_domain)

    def __post_init__(self) -> None:
        check_whole("domain_id", self.domain_id, 0, _LARGEST_DOMAIN)

    def start(
        self, name: str, words: Sequence[str], *, answers: bool = False
    ) -> subprocess.Popen[str]:
        """Starts a process that hears only this machine, and writes to ``NAME.log``.

        It is in a session of its own, so that Ctrl-C reaches it through its stdin's end, in order.
        Where it ``answers``, its stdout is a pipe that is to be read.
        """
        with self.log(name).open("w") as log:
            return subprocess.Popen(
                list(words),
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if answers else log,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.folder / f"{name}.log"

    def last_words(self, name: str, count: int = 15) -> str:
        """The last lines of a process's log."""
        lines = self.log(name).read_text(errors="replace").splitlines()
        return "\n".join(lines[-count:])

    def environment(self) -> Mapping[str, str]:
        """Variables of a process: our packages alone on the path, not what lies beside them."""
        return {
            **without_ros(os.environ),
            "PYTHONPATH": str(self._packages()),
            "ROS_DOMAIN_ID": str(self.domain_id),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        }

    def _packages(self) -> Path:
        """A folder of links to our packages: a Python of ROS has its own numpy, not ours."""
        links = self.folder / "packages"
        links.mkdir(exist_ok=True)
        for name in _PACKAGES:
            link, source = links / name, _source(name)
            if link.resolve() != source:  # left by another checkout
                link.unlink(missing_ok=True)
                link.symlink_to(source, target_is_directory=True)
        return links


def _source(name: str) -> Path:
    beside = Path(__file__).resolve().parents[2] / name
    if beside.is_dir():
        return beside
    import importlib.util

    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise BackendError("a package of ours must be importable", received=name)
    return Path(next(iter(spec.submodule_search_locations))).resolve()
