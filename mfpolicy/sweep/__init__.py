"""Sweeps: a run folder for each combination of values, continued where they stopped."""

from mfpolicy.sweep.cell import CellWork, Evaluate
from mfpolicy.sweep.driver import SweepResult, check_folders, in_folder, run_cells, run_sweep
from mfpolicy.sweep.record import CellRecord

__all__ = [
    "CellRecord",
    "CellWork",
    "Evaluate",
    "SweepResult",
    "check_folders",
    "in_folder",
    "run_cells",
    "run_sweep",
]
