"""Pictures of the page that ``mfpolicy data view`` writes, of recordings made on the spot.

    python -m benchmarks.view_pictures --out docs

It needs a Chromium without a window on the PATH (Debian: chromium-headless-shell).
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import tempfile
from pathlib import Path

import envs
from mfpolicy.data import open_dataset
from mfpolicy.data.collect import collect
from mfpolicy.data.viewing import viewed_episodes, write_page

PICTURES = {
    "view_page": ("metaworld/drawer-open", "step=45"),
    "view_page_height": ("metaworld/assembly", "step=60&color=height"),
}
WINDOW = "1200,640"


def main() -> None:
    """Collects, writes the pages and takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--browser", default="chromium-headless-shell")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, (task, place) in PICTURES.items():
            path = Path(folder) / f"{task.rpartition('/')[2]}.zarr"
            collect(functools.partial(envs.make, task), path, episodes=1, seed=0, store_images=True)
            dataset = open_dataset(path)
            page = write_page(dataset, viewed_episodes(dataset, [0]), path.with_suffix(".html"))
            picture = (words.out / f"{name}.png").resolve()
            shot = [words.browser, "--no-sandbox", "--hide-scrollbars", f"--window-size={WINDOW}"]
            shot += ["--virtual-time-budget=5000", f"--screenshot={picture}"]
            shot.append(f"{page.as_uri()}#{place}")
            subprocess.run(shot, check=True, capture_output=True, timeout=300)
            print(f"{picture.name}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
