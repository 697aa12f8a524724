"""Every kind of damage: values, episodes, files."""

from __future__ import annotations

from benchmarks.data import damaged_episodes, damaged_files, damaged_values
from benchmarks.data.damage import DAMAGES, Damage

__all__ = ["DAMAGES", "Damage", "damaged_episodes", "damaged_files", "damaged_values"]
