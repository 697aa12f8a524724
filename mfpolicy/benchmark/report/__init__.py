"""Tables, comparisons and figures made of records: Markdown, one HTML page, JSON."""

from mfpolicy.benchmark.report.build import Report, build_report
from mfpolicy.benchmark.report.results import Results, collect_records, select
from mfpolicy.benchmark.report.write import write_report

__all__ = ["Report", "Results", "build_report", "collect_records", "select", "write_report"]
