"""The augmentations of a run, and what they may know of its data."""

from __future__ import annotations

from mfpolicy.config.schema import TrainConfig
from mfpolicy.config.suites import common_vectors
from mfpolicy.data.augment import Augmenter, Scene, build_augmenter
from mfpolicy.policy import Policy
from mfpolicy.policy.parts import clouds_apart


def augmenter_of(config: TrainConfig, policy: Policy) -> Augmenter | None:
    """Returns the augmentations that the configuration switches on; None where none is.

    Args:
        config: of the run.
        policy: on the device that trains; its normaliser knows the box of all points.

    Raises:
        ConfigError: an augmentation or an option does not exist, a value is out of range, or one
            cannot be applied to this data.
    """
    if not any(own["enabled"] for own in config.augment.values()):
        return None
    points, spec = policy.normalizer.point_cloud, policy.spec
    middle, reach = points.offset[:3], 1 / points.scale[:3]
    scene = Scene(
        low=middle - reach,
        high=middle + reach,
        color=spec.color,
        state_dim=spec.state_dim,
        action_dim=spec.action_dim,
        vectors=common_vectors(config.tasks),
        task=", ".join(config.tasks),
        parts=max(spec.parts, clouds_apart(spec)),
    )
    return build_augmenter(config.augment, scene)
