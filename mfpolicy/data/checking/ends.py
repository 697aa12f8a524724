"""Where episodes end: what does not fit, and what can be used of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mfpolicy.data.checking.findings import FindingLog, code

_AGAIN = "restore meta/episode_ends from a copy, or repair the dataset, which keeps what fits"

EMPTY = code("no-episodes", "error", "a dataset has at least one finished episode", "collect more")
ORDER = code(
    "ends-not-increasing", "error", "every episode ends after the one before it", _AGAIN, "rebuild"
)
BEYOND = code("ends-beyond-data", "error", "no episode ends behind the data", _AGAIN, "rebuild")
BEFORE = code("ends-before-data", "error", "the last episode ends with the data", _AGAIN, "rebuild")
LENGTHS = code(
    "length-mismatch", "error", "the lengths of the episodes are those between their ends", _AGAIN,
    "rebuild",
)  # fmt: skip
SEEDS = code(
    "seed-repeated", "warning", "every episode has a seed of its own",
    "look whether the episodes are equal; a seed that is not known may be any other number",
)  # fmt: skip
FAILED = code(
    "episode-failed", "note", "episodes say whether they succeeded",
    "leave them out with mfpolicy data subset if only successes are to be learnt from",
)  # fmt: skip


def usable_ends(meta: Mapping[str, np.ndarray], rows: int, log: FindingLog) -> np.ndarray:
    """Returns the ends that can be used, and tells the log what does not fit.

    Args:
        meta: the arrays of the episodes that could be read.
        rows: N, steps that there are.
        log: hears what is wrong.

    Returns:
        (E,) int64, increasing, within the data. Without any stored ends the lengths give them;
        without lengths everything is one episode.
    """
    ends, lengths = meta.get("episode_ends"), meta.get("episode_length")
    if ends is not None and len(ends) == 0:
        log.add(EMPTY, "no episode ends", array="meta/episode_ends")
        return np.zeros(0, np.int64)
    _tell_seeds(meta, log)
    sound = ends is not None and _tell_ends(ends, rows, log)
    if ends is not None and sound and lengths is not None and len(lengths) == len(ends):
        _tell_lengths(ends, lengths, log)
    if not sound and lengths is not None and _fit(lengths, rows):
        return np.cumsum(lengths)
    usable, reached = [], 0
    for end in [rows] if ends is None else ends.tolist():
        if reached < end <= rows:
            usable.append(end)
            reached = end
    return np.array(usable, np.int64)


def _fit(lengths: np.ndarray, rows: int) -> bool:
    """Whether the lengths alone can say where the episodes end."""
    return bool(((lengths > 0) & (lengths <= rows)).all()) and int(lengths.sum()) == rows


def _tell_ends(ends: np.ndarray, rows: int, log: FindingLog) -> bool:
    """Tells the log which ends cannot be; says whether all can."""
    before, array = np.concatenate([[0], ends[:-1]]), "meta/episode_ends"
    for episode in np.flatnonzero(ends <= before):
        log.add(
            ORDER, f"episode {episode} ends at step {ends[episode]} after {before[episode]}",
            array=array, episode=int(episode),
        )  # fmt: skip
    for episode in np.flatnonzero(ends > rows):
        log.add(
            BEYOND, f"episode {episode} ends at step {ends[episode]} of {rows}",
            array=array, episode=int(episode),
        )  # fmt: skip
    increasing = bool((ends > before).all())
    if increasing and ends[-1] < rows:
        log.add(
            BEFORE, f"the last of {len(ends)} episodes ends at step {ends[-1]} of {rows}",
            array=array, episode=len(ends) - 1,
        )  # fmt: skip
    return increasing and bool(ends[-1] <= rows)


def _tell_lengths(ends: np.ndarray, lengths: np.ndarray, log: FindingLog) -> None:
    actual = np.diff(ends, prepend=0)
    for episode in np.flatnonzero(actual != lengths):
        log.add(
            LENGTHS,
            f"episode {episode} has {actual[episode]} steps, its length is {lengths[episode]}",
            array="meta/episode_length",
            episode=int(episode),
        )


def _tell_seeds(meta: Mapping[str, np.ndarray], log: FindingLog) -> None:
    seeds, success = meta.get("episode_seed"), meta.get("episode_success")
    if seeds is not None and len(np.unique(seeds)) < len(seeds):
        first: dict[int, int] = {}
        for episode, seed in enumerate(seeds.tolist()):
            if seed in first:
                log.add(
                    SEEDS, f"seed {seed}, as episode {first[seed]}", array="meta/episode_seed",
                    episode=episode,
                )  # fmt: skip
            first.setdefault(seed, episode)
    if success is not None and not success.all():
        failed = np.flatnonzero(~success)
        log.add(
            FAILED, f"{len(failed)} of {len(success)} failed", array="meta/episode_success",
            episode=int(failed[0]),
        )  # fmt: skip
