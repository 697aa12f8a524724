"""The commands of ``mfpolicy benchmark``: one module with a function ``run(words)`` each."""

from __future__ import annotations

VERBS = {
    "run": "every method on every task of a suite, trained and evaluated; leaves a record of each",
    "report": "tables, paired comparisons and figures of records: a page, Markdown and JSON",
}
"""Each command, which is also the name of its module, and what it does."""
