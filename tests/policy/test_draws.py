"""Several draws of noise and times for each window: the loss of a batch that is written out."""

import dataclasses

import pytest
import torch

from mfpolicy import objectives
from mfpolicy.types import Batch
from oracles.small_policy import small_policy
from policy.test_parts import _batch


def _written_out(batch, times):
    fields = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    return Batch(
        **{
            name: value if value is None else torch.cat([value] * times)
            for name, value in fields.items()
        }
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in objectives.names()),
        ("meanflow", {"dispersive": {"kind": "cosine", "near_steps": 2}}),
        ("meanflow", {"dispersive": {"kind": "info_nce_l2", "source": "encoder"}}),
        ("meanflow", {"guidance": {"kind": "cfg", "drop": 0.5}}),
        ("meanflow", {"coupling": {"kind": "c2ot"}}),
    ],
)
def test_the_loss_is_that_of_a_batch_with_every_window_as_often(name, options):
    policy = small_policy(name, **options)
    batch = _batch(policy)
    if policy.objective.needs_teacher:
        policy.learn_from(small_policy("flow_matching"))
    if policy.objective.needs_average:
        policy.follow(small_policy(name, **options))
    (drawn, _), (written, _) = (
        policy.loss(given, torch.Generator().manual_seed(2), draws=draws)
        for given, draws in ((batch, 3), (_written_out(batch, 3), 1))
    )
    torch.testing.assert_close(drawn, written)
    once, _ = policy.loss(batch, torch.Generator().manual_seed(2))
    assert once.isfinite()
    (gradient,) = torch.autograd.grad(drawn, policy.encoder.state.mlp[0].weight)
    assert gradient.any()
