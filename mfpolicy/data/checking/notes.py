"""What the attributes of a dataset say of it, as far as that can be."""

from __future__ import annotations

from mfpolicy.data.checking.findings import FindingLog, code
from mfpolicy.data.checking.survey import Survey
from mfpolicy.data.root_notes import read_spec
from mfpolicy.data.structure import dimensions
from mfpolicy.errors import DataError
from mfpolicy.pointcloud import PointCloudRecipe

_MEND = "correct the attributes, or repair the dataset into a new one without what is wrong"

NOTES = code("notes-wrong", "error", "the attributes of a dataset describe it", _MEND, "rebuild")
DIMENSION = code(
    "dimension-mismatch", "error", "the attributes name the dimensions that are stored", _MEND,
    "rebuild",
)  # fmt: skip


def read_notes(found: Survey, log: FindingLog) -> None:
    """Reads the specification, or at least the recipe and the rate, into ``found``."""
    attributes = found.attributes if found.ours else {}
    dims = dimensions(found.arrays)
    if attributes and not isinstance(attributes.get("journal", {}), dict):
        log.add(NOTES, "the journal is no JSON object")
    wrong = {
        name: f"{name} {attributes[name]!r}, but {size} are stored"
        for name, size in dims.items()
        if isinstance(attributes.get(name), int) and attributes[name] != size
    }
    for text in wrong.values():
        log.add(DIMENSION, text)
    try:
        if len(dims) == 3 or not found.arrays:
            corrected = {**attributes, **{name: dims[name] for name in wrong}}
            found.spec = read_spec(found.root, corrected, dims or attributes)
            found.recipe = found.spec.recipe
            found.control_rate_hz = found.spec.control_rate_hz
            return
    except DataError as error:
        log.add(NOTES, str(error.rule))
    _read_alone(found)


def _read_alone(found: Survey) -> None:
    """Takes the recipe and the rate where the rest of the notes is useless."""
    recipe, rate = found.attributes.get("recipe"), found.attributes.get("control_rate_hz")
    if isinstance(recipe, dict):
        try:
            found.recipe = PointCloudRecipe.from_dict(recipe)
        except (DataError, TypeError, OverflowError):
            found.recipe = None
    if isinstance(rate, int | float) and not isinstance(rate, bool) and 0 < rate < 1e6:
        found.control_rate_hz = float(rate)
