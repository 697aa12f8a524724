"""``mfpolicy data view``: episodes to look at, in a viewer or as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mfpolicy.cli.console import output, print_rows
from mfpolicy.cli.datasets import VERBS
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import DataViewConfig, compose
from mfpolicy.errors import ConfigError

_KINDS = (".html", ".rrd")


def run(words: Sequence[str]) -> int:
    """Shows the episodes that the words name."""
    if answers_itself("data view", words, what=VERBS["view"]):
        return 0
    config: DataViewConfig = compose("data view", words)
    kind = None if config.out is None else Path(config.out).suffix.lower()
    if kind not in (None, *_KINDS):
        raise ConfigError(
            f"out must end with {' or '.join(_KINDS)}",
            received=config.out,
            remedy="leave it out to open rerun's viewer",
        )
    from mfpolicy.data import open_dataset
    from mfpolicy.data.editing import parse_episodes
    from mfpolicy.data.viewing import open_viewer, viewed_episodes, write_page, write_recording

    dataset = open_dataset(config.dataset)
    chosen = parse_episodes(config.episode, dataset.episode_count)
    episodes = viewed_episodes(dataset, chosen, points=config.points, every=config.every)
    if config.out is None:
        open_viewer(dataset, episodes)
        return 0
    write = write_page if kind == ".html" else write_recording
    path = write(dataset, episodes, config.out)
    rows = [
        ("file", f"{path}, {path.stat().st_size / 2**20:.1f} MiB"),
        ("shows", f"{len(chosen)} of {dataset.episode_count} episodes"),
        ("next", f"open {path} in a browser" if kind == ".html" else f"rerun {path}"),
    ]
    print_rows(output(), rows)
    return 0
