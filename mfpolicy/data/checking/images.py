"""Colors, images and depth without content, or of another range or unit."""

from __future__ import annotations

import numpy as np

from mfpolicy.data.checking.base import CHECKS, Block, Check
from mfpolicy.data.checking.findings import code

BLANK = code(
    "image-blank", "warning", "an image is not of one value all over",
    "look whether the camera delivered; leave the episode out, or do not train on images",
)  # fmt: skip
COLOR = code(
    "color-blank", "warning", "the points of a cloud are not all of one color",
    "look whether color was recorded; without it, leave the array out",
)  # fmt: skip
RANGE = code(
    "color-range", "warning", "colors run from 0 to 255",
    "multiply by 255 before they are stored as whole numbers",
)  # fmt: skip
DEPTH = code("depth-scale", "warning", "depth is in metres", "divide by 1000 before it is stored")

_FARTHEST_M = 100.0


@CHECKS.register("images")
class Images(Check):
    """Frames of one value, colors of 0 and 1 only, depth in millimetres."""

    def wants(self, array: str) -> bool:
        """Colors and images."""
        self._peak = 0.0
        return array == "color" or self.is_image(array)

    def look(self, block: Block) -> None:
        """Looks at a block."""
        flat = block.values.reshape(len(block.values), -1)
        if flat.dtype.kind == "f":
            flat = np.nan_to_num(flat, posinf=0.0, neginf=0.0)
        blank = flat.min(axis=1) == flat.max(axis=1)
        self._peak = max(self._peak, float(flat.max()))
        if blank.any() and flat.shape[1] > 3:
            first = int(np.argmax(blank))
            self.log.add(
                COLOR if block.array == "color" else BLANK, f"{flat[first, 0]} all over",
                array=block.path, episode=block.episode, step=block.step + first,
                steps=int(blank.sum()),
            )  # fmt: skip

    def finish_array(self, array: str) -> None:
        """Judges the range."""
        whole = self.survey.arrays[array].array.dtype.kind in "iu"
        if "depth" in array and self._peak > _FARTHEST_M:
            self.log.add(DEPTH, f"depth up to {self._peak:g}", array=f"data/{array}")
        elif whole and self._peak == 1 and "depth" not in array:
            self.log.add(RANGE, "no value above 1", array=f"data/{array}")
