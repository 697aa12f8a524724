import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mfpolicy.data.dataset import WindowDataset
from mfpolicy.data.normalizer import CONSTANT_RANGE, ChannelNormalizer, Normalizer
from mfpolicy.data.store import open_dataset
from mfpolicy.errors import DataError

quick = settings(deadline=None, max_examples=60)
EPS = torch.finfo(torch.float32).eps
tables = arrays(
    np.float32,
    array_shapes(min_dims=1, max_dims=4, max_side=6),
    elements=st.floats(-100, 100, width=32),
).map(torch.from_numpy)


def channel_ranges(table):
    rows = table.reshape(-1, table.shape[-1])
    return rows.amin(0), rows.amax(0)


@quick
@given(tables)
def test_inverse_undoes_forward(table):
    normalizer = ChannelNormalizer.fit(table)
    torch.testing.assert_close(
        normalizer.inverse(normalizer(table)), table, rtol=4 * EPS, atol=100 * 4 * EPS
    )


@quick
@given(tables)
def test_channels_span_minus_one_to_one(table):
    normalizer = ChannelNormalizer.fit(table)
    low, high = channel_ranges(normalizer(table))
    data_low, data_high = channel_ranges(table)
    varying = data_high.double() - data_low.double() >= CONSTANT_RANGE
    rounding = (normalizer.scale * 100 + 2) * EPS  # of the offset, seen in normalised units
    assert (low >= -1 - rounding).all()
    assert (high <= 1 + rounding).all()
    assert ((low + 1).abs() <= rounding)[varying].all()
    assert ((high - 1).abs() <= rounding)[varying].all()


@quick
@given(st.floats(-1000, 1000, width=32), st.floats(0, 5e-5), st.integers(1, 9))
def test_constant_channel_maps_to_zero_and_comes_back_unamplified(value, width, rows):
    column = torch.linspace(value, value + width, rows)[:, None]
    normalizer = ChannelNormalizer.fit(column)
    assert normalizer.scale.item() == 1
    assert normalizer(column).abs().max() <= 1e-4
    back = normalizer.inverse(torch.tensor([0.01]))
    assert back.item() == pytest.approx(value + 0.01, abs=2e-4)


@quick
@given(tables, st.integers(1, 5))
def test_fit_does_not_depend_on_leading_shape_or_order(table, seed):
    rows = table.reshape(-1, table.shape[-1])
    shuffled = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    for name, value in ChannelNormalizer.fit(table).state_dict().items():
        assert torch.equal(value, ChannelNormalizer.fit(shuffled).state_dict()[name])


@quick
@given(tables)
def test_fit_equals_from_min_max(table):
    one = ChannelNormalizer.fit(table).state_dict()
    other = ChannelNormalizer.from_min_max(*channel_ranges(table)).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@quick
@given(st.floats(1, 1e4), st.floats(2e-4, 1))
def test_narrow_channel_far_from_zero_keeps_its_precision(center, width):
    column = torch.linspace(center, center + width, 50)[:, None]
    step = EPS * 2 * center / width  # what float32 itself resolves, in normalised units
    expected = torch.linspace(-1, 1, 50)[:, None]
    assert (ChannelNormalizer.fit(column)(column) - expected).abs().max() <= 4 * step + 1e-6


@pytest.mark.parametrize(
    "table", [torch.zeros(0, 3), torch.tensor([[1.0, float("nan")]]), torch.tensor([float("inf")])]
)
def test_nothing_nan_and_infinity_are_refused(table):
    with pytest.raises(DataError):
        ChannelNormalizer.fit(table)


def test_bounds_in_the_wrong_order_are_refused():
    with pytest.raises(DataError, match="lower before the upper"):
        ChannelNormalizer.from_min_max(torch.tensor([1.0]), torch.tensor([0.0]))


@pytest.mark.parametrize("budget", [90_000, 4 << 30])
def test_fit_of_a_dataset_streamed_or_not_is_that_of_its_arrays(write_dataset, budget):
    dataset = open_dataset(write_dataset(120, 230, 250))
    windows = WindowDataset(
        dataset, n_obs_steps=2, horizon=4, n_action_steps=3, points=7, memory_budget_bytes=budget
    )
    assert windows.streamed == (budget == 90_000)
    fitted = Normalizer.fit(windows)
    for part, array in [
        (fitted.point_cloud, dataset.array("point_cloud")[:, :7]),
        (fitted.agent_pos, dataset.array("state")[:]),
        (fitted.action, dataset.array("action")[:]),
    ]:
        expected = ChannelNormalizer.fit(torch.from_numpy(array)).state_dict()
        assert all(torch.equal(part.state_dict()[name], expected[name]) for name in expected)


def test_identity_changes_nothing_and_takes_fitted_weights(write_dataset):
    windows = WindowDataset(
        open_dataset(write_dataset(50)), n_obs_steps=1, horizon=1, n_action_steps=1
    )
    fitted, blank = Normalizer.fit(windows), Normalizer.identity(3, 3, 2)
    batch = windows.batch(torch.arange(50))
    assert torch.equal(blank.action(batch.action), batch.action)
    assert torch.equal(blank.point_cloud.inverse(batch.point_cloud), batch.point_cloud)
    blank.load_state_dict(fitted.state_dict())
    assert torch.equal(blank.action(batch.action), fitted.action(batch.action))
    with pytest.raises(RuntimeError, match="size mismatch"):
        Normalizer.identity(3, 4, 2).load_state_dict(fitted.state_dict())
    assert not list(fitted.parameters())
