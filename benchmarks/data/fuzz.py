"""Damages datasets at random and looks whether the reader, info and check stay in bounds.

    python -m benchmarks.data.fuzz DATASET --seconds 3600

A mutation changes values in the metadata to hostile ones, bytes of files, or files themselves. What
is allowed is a DataError or a result; anything else is a finding: another exception, more memory
than --megabytes, or more time than --limit-s. Each is printed with its seed, by which
``mutate`` repeats it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from mfpolicy.data.checking import check_dataset
from mfpolicy.data.reader import open_dataset
from mfpolicy.data.summary import summarize
from mfpolicy.errors import DataError

HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 3, 255, 2**31, 2**53, 2**63 - 1, 2**63, 10**30, 10**400),
    *(-(2**63), 0.0, 0.5, -1.5, 1e308, float("nan"), float("inf")),
    *("", "x", "NaN", "Infinity", "../..", "/etc", "\x00", "\x1b[2J", "\ud800"),
    *("float32", "float64", "uint8", "bool", "object", "|O", "<U8", "string", "complex64"),
    *("int64", "<M8[ns]", "r8"),
    *([], {}, [0], [1], [-1], [1, 1], [10**12], [[]], [None], {"a": {"b": {}}}),
    *({"name": "x"}, {"name": "regular"}, {"id": "pickle"}, {"name": "numcodecs.pickle"}),
    *({"name": "gzip"}, {"name": "zstd", "configuration": {}}, {"name": "blosc"}),
    *({"name": "transpose"}, {"name": "sharding_indexed"}, {"name": "vlen-utf8"}),
    *({"name": "bytes"}, {"name": "crc32c"}, {"id": "zlib"}, {"id": "delta", "dtype": "|O"}),
    {"id": "shuffle", "elementsize": 0},
]
"""Values that metadata may be given."""


def mutate(path: Path, rng: random.Random) -> list[str]:
    """Does one to three things to the dataset at ``path``; returns them in words."""
    return [_mutate_once(path, rng) for _ in range(rng.randint(1, 3))]


def _mutate_once(path: Path, rng: random.Random) -> str:
    files = sorted(f for f in path.rglob("*") if f.is_file() and not f.is_symlink())
    texts = [f for f in files if f.suffix == ".json" or f.name.startswith(".z")]
    if texts and rng.random() < 0.7:
        file = rng.choice(texts)
        return f"{file.relative_to(path)}: {_mutate_json(file, rng)}"
    file = rng.choice(files) if files else path / "nothing"
    return f"{file.relative_to(path)}: {_mutate_bytes(file, files, rng)}"


def _mutate_json(file: Path, rng: random.Random) -> str:
    try:
        content = json.loads(file.read_text())
    except (ValueError, RecursionError):
        return "left"
    holder, key = _place(content, rng)
    if holder is None:
        return "left"
    what = rng.randint(0, 3)
    if what == 0 and isinstance(holder, dict):
        del holder[key]
        done = f"without {key!r}"
    elif what == 1 and isinstance(holder, list):
        holder.append(rng.choice(HOSTILE))
        done = "a longer list"
    else:
        holder[key] = rng.choice(HOSTILE)
        done = f"{key!r} = {holder[key]!r}"
    file.write_text(json.dumps(content))
    return done[:200]


def _place(content: Any, rng: random.Random) -> tuple[Any, Any]:
    """A random container in ``content`` and a key of it."""
    holder, key = None, None
    while isinstance(content, dict | list) and content:
        holder = content
        key = rng.choice(sorted(content, key=str)) if isinstance(content, dict) else rng.randrange(
            len(content)
        )  # fmt: skip
        content = holder[key]
        if rng.random() < 0.3:
            break
    return holder, key


def _mutate_bytes(file: Path, files: list[Path], rng: random.Random) -> str:
    if not file.exists():
        return "left"
    content = bytearray(file.read_bytes())
    what = rng.choice(["flip", "overwrite", "cut", "extend", "swap", "remove", "link", "header"])
    if what == "flip" and content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif what == "overwrite" and content:
        at = rng.randrange(len(content))
        content[at : at + 8] = bytes(rng.randrange(256) for _ in range(8))
    elif what == "header" and content:
        at = rng.choice([0, 4, 8, 12])
        content[at : at + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x00\x00\x00\x40"])
    elif what == "cut":
        del content[rng.randrange(len(content) + 1) :]
    elif what == "extend":
        content.extend(bytes(rng.randrange(1, 5000)))
    elif what == "swap":
        content = bytearray(rng.choice(files).read_bytes())
    file.unlink()
    if what == "link":
        file.symlink_to(rng.choice(["/etc/passwd", "/dev/zero", "nowhere", "/"]))
    elif what != "remove":
        file.write_bytes(bytes(content))
    return what


def exercise(path: Path) -> str:
    """Reads, summarises and checks the dataset at ``path``; says what the reader made of it.

    Raises:
        Exception: anything that is no refusal, which is a finding.
    """
    refusal = None
    try:
        dataset = open_dataset(path)
        for episode in range(min(3, dataset.episode_count)):
            dataset.episode(episode)
    except DataError as error:
        refusal = str(error)
    with contextlib.suppress(DataError):
        json.dumps(summarize(path, values="all"))
    report = None
    with contextlib.suppress(DataError):
        report = check_dataset(path)
        json.dumps(report.to_dict())
    assert refusal is None or len(refusal) < 4000, "a message of boundless length"
    # What the reader refuses, the check must not call sound.
    assert refusal is None or report is None or not report.sound, f"sound, but: {refusal}"
    assert refusal is not None or report is not None, "the reader reads what the check refuses"
    return "read" if refusal is None else "refused"


def _alarm(number: int, frame: object) -> None:
    raise TimeoutError


def main() -> None:
    """Mutates until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--limit-s", type=int, default=30)
    chosen = parser.parse_args()
    limit = chosen.megabytes << 20
    resource.setrlimit(resource.RLIMIT_AS, (4 * limit, 4 * limit))
    signal.signal(signal.SIGALRM, _alarm)
    seen: set[str] = set()
    counts = {"read": 0, "refused": 0}
    stop, seed = time.monotonic() + chosen.seconds, chosen.seed
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < stop:
            path = Path(folder) / "mutant.zarr"
            shutil.copytree(chosen.dataset, path)
            done = mutate(path, random.Random(seed))
            signal.alarm(chosen.limit_s)
            try:
                counts[exercise(path)] += 1
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                key = f"{type(error).__name__} {where.filename}:{where.lineno}"
                if key not in seen:
                    seen.add(key)
                    print(f"seed {seed}: {done}\n{traceback.format_exc()}", flush=True)
            signal.alarm(0)
            shutil.rmtree(path)
            seed += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seed - chosen.seed} mutants {counts}, {len(seen)} findings, peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
