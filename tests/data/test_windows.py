import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfpolicy.data.windows import window_indices
from mfpolicy.errors import ConfigError

quick = settings(deadline=None, max_examples=60)
lengths = st.lists(st.integers(1, 12), min_size=1, max_size=5)
horizons = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(0, 4))


@quick
@given(lengths, horizons)
def test_every_step_is_last_observed_exactly_once(episode_lengths, sizes):
    n_obs, n_action, spare = sizes
    ends = np.cumsum(episode_lengths)
    observed, _, episode, step = window_indices(ends, n_obs, n_obs - 1 + n_action + spare, n_action)
    assert observed[:, -1].tolist() == list(range(ends[-1]))
    assert [(e, s) for e, length in enumerate(episode_lengths) for s in range(length)] == list(
        zip(episode.tolist(), step.tolist(), strict=True)
    )


@quick
@given(lengths, horizons)
def test_windows_equal_the_definition_step_by_step(episode_lengths, sizes):
    n_obs, n_action, spare = sizes
    horizon = n_obs - 1 + n_action + spare
    ends = np.cumsum(episode_lengths)
    observed, chunk, episode, step = window_indices(ends, n_obs, horizon, n_action)
    for w in range(len(observed)):
        first, last = ends[episode[w]] - episode_lengths[episode[w]], ends[episode[w]] - 1
        now = first + step[w]
        for j in range(n_obs):
            assert observed[w, j] == max(first, now - (n_obs - 1) + j)
        for k in range(horizon):
            assert chunk[w, k] == min(last, max(first, now - (n_obs - 1) + k))
        executed = chunk[w, n_obs - 1 : n_obs - 1 + n_action]
        assert executed[0] == now
        assert len(executed) == n_action


@quick
@given(lengths, horizons, st.integers(0, 4))
def test_windows_of_an_episode_do_not_depend_on_the_others(episode_lengths, sizes, which):
    n_obs, n_action, spare = sizes
    horizon = n_obs - 1 + n_action + spare
    which %= len(episode_lengths)
    ends = np.cumsum(episode_lengths)
    together = window_indices(ends, n_obs, horizon, n_action)
    rows = together[2] == which
    alone = window_indices(np.array([episode_lengths[which]]), n_obs, horizon, n_action)
    offset = ends[which] - episode_lengths[which]
    np.testing.assert_array_equal(together[0][rows] - offset, alone[0])
    np.testing.assert_array_equal(together[1][rows] - offset, alone[1])
    np.testing.assert_array_equal(together[3][rows], alone[3])


def test_all_indices_are_int64():
    assert {a.dtype for a in window_indices(np.array([3, 5]), 2, 4, 3)} == {np.dtype(np.int64)}


@pytest.mark.parametrize("sizes", [(0, 4, 1), (1, 4, 0), (2, 3, 3), (1, 0, 1), (-1, 4, 2)])
def test_horizons_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ConfigError):
        window_indices(np.array([5]), *sizes)
