"""Quantiles and extremes of many numbers that pass by once: bounded memory, no randomness."""

from __future__ import annotations

import numpy as np

_BINS_PER_OCTAVE, _OCTAVES, _LOWEST = 4, 80, -40


class MagnitudeHistogram:
    """Counts magnitudes of C channels in bins of a quarter octave, from 2^-40 to 2^40.

    Args:
        channels: C.

    Example:
        >>> seen = MagnitudeHistogram(1)
        >>> seen.add(np.arange(1.0, 101.0)[:, None])
        >>> bool(90 < seen.quantile(0.95)[0] < 115)
        True
    """

    def __init__(self, channels: int) -> None:
        self.counts = np.zeros((channels, _BINS_PER_OCTAVE * _OCTAVES + 1), np.int64)

    def add(self, magnitudes: np.ndarray) -> None:
        """Counts ``magnitudes`` (n, C), none negative."""
        with np.errstate(divide="ignore"):
            exact = (np.log2(magnitudes) - _LOWEST) * _BINS_PER_OCTAVE + 1
        bins = np.clip(np.nan_to_num(exact, neginf=0.0), 0, self.counts.shape[1] - 1).astype(int)
        channels = np.broadcast_to(np.arange(bins.shape[1]), bins.shape)
        np.add.at(self.counts, (channels, bins), 1)

    def quantile(self, share: float) -> np.ndarray:
        """The upper edge of the bin that ``share`` of the magnitudes reach, (C,)."""
        total = self.counts.cumsum(axis=1)
        at = (total >= share * total[:, -1:]).argmax(axis=1)
        return np.where(at == 0, 0.0, 2.0 ** (at / _BINS_PER_OCTAVE + _LOWEST))


class Largest:
    """The K largest magnitudes of each of C channels, with where they were.

    Args:
        channels: C. keep: K.
    """

    def __init__(self, channels: int, keep: int = 64) -> None:
        self.keep = keep
        self.values = np.full((0, channels), -1.0)
        self.rows = np.zeros((0, channels), np.int64)

    def add(self, magnitudes: np.ndarray, rows: np.ndarray) -> None:
        """Takes in ``magnitudes`` (n, C) at ``rows`` (n,)."""
        values = np.concatenate([self.values, magnitudes])
        where = np.concatenate([self.rows, np.broadcast_to(rows[:, None], magnitudes.shape)])
        if len(values) > self.keep:
            order = np.argpartition(-values, self.keep - 1, axis=0)[: self.keep]
            values = np.take_along_axis(values, order, axis=0)
            where = np.take_along_axis(where, order, axis=0)
        self.values, self.rows = values, where
