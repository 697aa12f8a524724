"""Success in simulation: seeded episodes in parallel, intervals, latency, videos, model card."""

from mfpolicy.evaluation.evaluate import evaluate
from mfpolicy.evaluation.report import learning_curve, summary_rows, summary_table
from mfpolicy.evaluation.rollout import run_episode
from mfpolicy.evaluation.statistics import (
    PairedComparison,
    SuccessRate,
    compare_paired,
    dp3_top5,
    success_rate,
    wilson_interval,
)
from mfpolicy.evaluation.summary import EvalSummary, read_summary

__all__ = [
    "EvalSummary",
    "PairedComparison",
    "SuccessRate",
    "compare_paired",
    "dp3_top5",
    "evaluate",
    "learning_curve",
    "read_summary",
    "run_episode",
    "success_rate",
    "summary_rows",
    "summary_table",
    "wilson_interval",
]
