"""Policy: what connects normaliser, encoder, network and objective, and its files."""

from mfpolicy.policy.files import load_policy, read_spec, save_policy
from mfpolicy.policy.policy import Policy
from mfpolicy.policy.spec import PolicySpec

__all__ = ["Policy", "PolicySpec", "load_policy", "read_spec", "save_policy"]
