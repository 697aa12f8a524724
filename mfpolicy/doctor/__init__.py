"""What this machine can and cannot do, and the remedy: ``mfpolicy doctor``."""

from mfpolicy.doctor.check import Check, Status
from mfpolicy.doctor.report import examine, print_table

__all__ = ["Check", "Status", "examine", "print_table"]
