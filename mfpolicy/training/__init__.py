"""Training: a policy from a dataset to a run folder."""

from mfpolicy.training.train import TrainSummary, train

__all__ = ["TrainSummary", "train"]
