"""The commands of ``mfpolicy data``: one module with a function ``run(words)`` each."""

from __future__ import annotations

VERBS = {
    "info": "what a dataset holds: episodes, ranges, frame, sizes, a histogram of the actions",
    "check": "what is wrong with a dataset, where, and what to do; repairs into a new one",
    "convert": "recordings of others to a dataset of ours, or back; executes nothing of them",
}
"""Each command, which is also the name of its module, and what it does."""
