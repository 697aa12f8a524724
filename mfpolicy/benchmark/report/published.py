"""What papers report on the 37 tasks, to stand beside our results in columns of their own.

Success in percent, the mean of the five best evaluations of 20 episodes along a training (what
``dp3_top5`` computes) over 3 training seeds, with their own experts, assets and GPUs: not the last
checkpoint, and not comparable task by task. 3 tasks of Adroit (hammer, door, pen) and 21 easy, 4
medium, 4 hard and 5 very hard tasks of Meta-World; the mean is over the 37 tasks.

DP3's figures are computed from its paper. Those of MP1, FlowPolicy, OMP and DBP are from notes on
the papers that agree with one another and with the means they state: check them against the papers
before anything is published that rests on them.
"""

from __future__ import annotations

PUBLISHED: dict[str, dict[str, float]] = {
    # Sheng et al., arXiv 2507.10543, table 1.
    "MP1": {
        "easy": 88.2, "medium": 68.0, "hard": 58.1, "very hard": 67.2, "adroit": 75.7, "all": 78.9,
    },
    # As reported in the same table of MP1.
    "FlowPolicy": {
        "easy": 84.8, "medium": 58.2, "hard": 40.2, "very hard": 52.2, "adroit": 71.0, "all": 71.6,
    },
    # Ze et al., arXiv 2403.03954: the means of its own table per task over these 37.
    "DP3": {
        "easy": 88.7, "medium": 62.5, "hard": 44.0, "very hard": 49.0, "adroit": 68.3, "all": 74.0,
    },
    # arXiv 2512.19347, the variant with the exact derivative.
    "OMP": {
        "easy": 89.7, "medium": 77.4, "hard": 62.5, "very hard": 77.8, "adroit": 76.0, "all": 82.3,
    },
    # arXiv 2604.03540.
    "DBP": {
        "easy": 91.7, "medium": 90.3, "hard": 75.2, "very hard": 86.7, "adroit": 83.3, "all": 88.4,
    },
}  # fmt: skip
"""Paper → group of tasks → success in percent; ``all`` is the mean over the 37 tasks."""

SIZES = {"easy": 21, "medium": 4, "hard": 4, "very hard": 5, "adroit": 3, "all": 37}
"""Tasks of each group there."""
