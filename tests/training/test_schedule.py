"""Learning rate, EMA and the order of batches."""

import pytest
import torch
from torch import nn

from mfpolicy.errors import ConfigError
from mfpolicy.training.ema import Ema
from mfpolicy.training.randomness import BatchSampler, noise_generator
from mfpolicy.training.schedule import ema_decay, learning_rate_factor


def test_warm_up_is_linear_and_the_cosine_ends_at_zero():
    factors = [learning_rate_factor(s, steps=1000, warmup_steps=100) for s in range(1000)]
    assert factors[49] == pytest.approx(0.5)
    assert max(factors) == factors[100] == 1
    assert factors[550] == pytest.approx(0.5)
    assert 0 < factors[-1] < 1e-5
    assert factors[100:] == sorted(factors[100:], reverse=True)


def test_no_warm_up_starts_at_the_peak():
    assert learning_rate_factor(0, steps=10, warmup_steps=0) == 1


def test_ema_decay_grows_to_its_bound():
    decays = [ema_decay(s, power=0.75, max_decay=0.99) for s in range(1, 2000)]
    assert decays == sorted(decays)
    assert decays[0] == pytest.approx(1 - 2**-0.75)
    assert decays[-1] == 0.99


def test_ema_by_hand():
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 1.0)
    ema = Ema(layer)
    for value in (2.0, 3.0):
        nn.init.constant_(layer.weight, value)
        ema.update(decay=0.5)
    assert ema.state()["weight"].item() == pytest.approx(0.5 * (0.5 * 1 + 0.5 * 2) + 0.5 * 3)
    assert layer.weight.item() == 3


def test_every_epoch_takes_every_window_once():
    sampler = BatchSampler(10, batch_size=4, seed=3)
    rows = torch.cat([sampler.rows(step) for step in range(5)])
    assert sorted(rows[:10].tolist()) == sorted(rows[10:].tolist()) == list(range(10))
    assert rows[:10].tolist() != rows[10:].tolist()


def test_batches_are_a_function_of_seed_and_step():
    forwards = BatchSampler(10, batch_size=4, seed=3)
    backwards = BatchSampler(10, batch_size=4, seed=3)
    one = [forwards.rows(step).tolist() for step in range(6)]
    other = [backwards.rows(step).tolist() for step in reversed(range(6))][::-1]
    assert one == other
    assert one != [BatchSampler(10, batch_size=4, seed=4).rows(s).tolist() for s in range(6)]


def test_a_batch_larger_than_the_data_is_refused_with_the_remedy():
    with pytest.raises(ConfigError, match="training.batch_size=10"):
        BatchSampler(10, batch_size=11, seed=0)


def test_noise_differs_between_steps_and_seeds():
    def draw(seed: int, step: int) -> float:
        generator = noise_generator(seed, step, torch.device("cpu"))
        return float(torch.rand((), generator=generator))

    assert draw(0, 1) == draw(0, 1)
    assert len({draw(seed, step) for seed in range(10) for step in range(10)}) == 100
