"""The commands of ``mfpolicy data``: one module with a function ``run(words)`` each."""

from __future__ import annotations

VERBS = {
    "info": "what a dataset holds: episodes, ranges, frame, sizes, a histogram of the actions",
    "check": "what is wrong with a dataset, where, and what to do; repairs into a new one",
    "convert": "recordings of others to a dataset of ours, or back; executes nothing of them",
    "merge": "several datasets that were made alike as one",
    "split": "a dataset into parts that share no episode, drawn by a seed",
    "subset": "some episodes, or some arrays, of a dataset",
    "resample": "fewer points a cloud, a lower control rate, or both",
    "recompute": "point clouds once more from stored depth, with another crop box or more points",
    "view": "clouds, images, states and actions of episodes: a viewer, or a page for any browser",
}
"""Each command, which is also the name of its module, and what it does."""
