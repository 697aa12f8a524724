"""The commands of ``mfpolicy data``: one module with a function ``run(words)`` each."""

from __future__ import annotations

VERBS = {"convert": "recordings of others to a dataset of ours, without executing what is in them"}
"""Each command, which is also the name of its module, and what it does."""
