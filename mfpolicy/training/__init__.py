"""Training: a policy from a dataset to a run folder."""

from mfpolicy.training.together import TogetherError, train_together
from mfpolicy.training.train import TrainSummary, train

__all__ = ["TogetherError", "TrainSummary", "train", "train_together"]
