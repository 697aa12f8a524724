"""The robot's side of a policy server: numpy and the standard library, nothing else.

The folder can be copied to a robot as it is, under any name.
"""

from .errors import AnswerTimeout, ConnectionLost, PolicyConnectionError, PolicyServerError
from .policy_client import PolicyClient

__all__ = [
    "AnswerTimeout",
    "ConnectionLost",
    "PolicyClient",
    "PolicyConnectionError",
    "PolicyServerError",
]
