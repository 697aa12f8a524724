"""What makes success: one setting of the default preset changed at a time, the rest the same.

Trains ``mp1_mixer`` on ten demonstrations as it is, and with each change; every cell is evaluated
on the same unseen seeds and compared with the preset as it is over the pairs of training and
evaluation seed. It goes on where it stopped, and writes the result after every cell; cells are
taken task by task:

    python -m benchmarks.settings --variants as_it_is regression energy_score mip \\
        --work runs/settings --out benchmarks/results/2026-11-27-settings

The tasks are two of the suite ``quick_8``, a medium and a hard one, on which the preset succeeds in
some episodes and not in others, so that a change can show either way.
"""

from __future__ import annotations

from benchmarks.variants import Variants

PRESET = "mp1_mixer"
AS_IT_IS = "as_it_is"
CHANGES: dict[str, tuple[str, ...]] = {
    # objective
    **{
        name: (f"objective={name}",)
        for name in (
            *("regression", "energy_score", "mip", "flow_matching", "mp1", "alpha_flow"),
            *("split_meanflow", "improved_meanflow", "flow_anchored_consistency", "shortcut"),
        )
    },
    # where in time the loss is taken, and how rows are weighted
    "p_end_0": ("objective.time.p_end=0.0",),
    "p_end_0.3": ("objective.time.p_end=0.3",),
    "p_end_0.6": ("objective.time.p_end=0.6",),
    "p_end_0.8_equal_0.25": ("objective.time.p_end=0.8", "objective.time.p_equal=0.25"),
    "power_0": ("objective.weighting.power=0.0",),
    "power_1": ("objective.weighting.power=1.0",),
    # dispersive loss
    **{
        f"dispersive_{kind}": (f"objective.dispersive.kind={kind}",)
        for kind in ("info_nce_l2", "cosine", "hinge", "covariance")
    },
    # what chunks are made from
    "bounded_1": ("objective.noise.kind=bounded",),
    "bounded_2": ("objective.noise.kind=bounded", "objective.noise.bound=2.0"),
    # the chunk, and what is observed
    "horizon_8_executed_6": ("policy.horizon=8", "policy.n_action_steps=6"),
    "horizon_16_executed_8": ("policy.horizon=16", "policy.n_action_steps=8"),
    "executed_1": ("policy.n_action_steps=1",),
    "observed_1": ("policy.n_obs_steps=1",),
    "observed_3": ("policy.n_obs_steps=3", "policy.horizon=5"),
    "points_128": ("policy.points=128",),
    "points_512": ("policy.points=512",),
    "from_the_hand_alone": ("encoder.relative_alone=true",),
    "shifted": ("augment.translation.enabled=true", "augment.translation.max_m=0.1"),
    "camera_uncertain_2cm": (
        *("augment.translation.enabled=true", "augment.translation.max_m=0.02"),
        "augment.translation.cloud_only=true",
    ),
    "not_magnified": ("encoder.relative_near_m=null",),
    **{f"near_{m}": (f"encoder.relative_near_m=[{m}]",) for m in ("0.03", "0.1", "0.3")},
    "in_the_world_alone": ("encoder.relative_to=null",),
    "colors": ("policy.color=true",),
    # training
    "average_over_5_percent": ("training.ema_share=0.05",),
    "average_over_30_percent": ("training.ema_share=0.3",),
    "learning_rate_5e-4": ("training.learning_rate=5e-4",),
    "learning_rate_2e-3": ("training.learning_rate=2e-3",),
    "draws_4": ("training.draws=4",),
}
"""Overrides of the preset by name of the change."""

STUDY = Variants(
    name="settings",
    what="setting",
    preset=PRESET,
    tasks=("peg-insert-side", "shelf-place"),
    steps=1000,
    overrides={AS_IT_IS: (), **CHANGES},
    baseline=lambda variant: AS_IT_IS,
)

if __name__ == "__main__":
    STUDY.run(__doc__ or "")
