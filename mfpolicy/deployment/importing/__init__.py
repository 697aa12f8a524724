"""Checkpoints of the released MP1, FlowPolicy and DP3, read without executing what is in them."""

from mfpolicy.deployment.importing.convert import (
    Dropped,
    Imported,
    import_checkpoint,
    released_state,
)
from mfpolicy.deployment.importing.run_folder import check_free, write_run

__all__ = [
    "Dropped",
    "Imported",
    "check_free",
    "import_checkpoint",
    "released_state",
    "write_run",
]
