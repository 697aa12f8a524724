"""LeRobotDataset v3 by its documented layout, without the package ``lerobot``.

On disk (``codebase_version`` v3.0)::

    meta/info.json                               rate, features with type and shape, totals
    meta/tasks.parquet                           task texts and their numbers
    meta/stats.json                              statistics of the features
    meta/episodes/chunk-000/file-000.parquet     one row an episode: where its rows and frames lie
    data/chunk-000/file-000.parquet              one row a step, several episodes a file
    videos/KEY/chunk-000/file-000.mp4            frames of one camera, several episodes a file

Read and written by pyarrow and PyAV, an episode at a time.
"""

from mfpolicy.data.converting.lerobot_v3.export import LeRobotExport
from mfpolicy.data.converting.lerobot_v3.source import LeRobotLayout, LeRobotSource

__all__ = ["LeRobotExport", "LeRobotLayout", "LeRobotSource"]
