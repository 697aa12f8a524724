"""Export: a trained policy as one file, or one folder, that runs without this package."""

from mfpolicy.deployment.export.exporting import ExportReport, export_policy

__all__ = ["ExportReport", "export_policy"]
