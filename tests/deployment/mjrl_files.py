"""Pickled policies in exactly the structure of mjrl's, from stand-ins for its classes."""

import pickle
import sys
import types
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

POLICY, NETWORK = "mjrl.policies.gaussian_mlp", "mjrl.utils.fc_network"


def _network_class():
    class FCNetwork(torch.nn.Module):
        def __init__(self, sizes, transformations):
            super().__init__()
            self.obs_dim, self.act_dim, self.layer_sizes = sizes[0], sizes[-1], sizes
            self.transformations = transformations
            for name, values in transformations.items():
                setattr(self, name, torch.from_numpy(np.float32(values)))
            pairs = zip(sizes[:-1], sizes[1:], strict=True)
            self.fc_layers = torch.nn.ModuleList([torch.nn.Linear(*pair) for pair in pairs])
            self.nonlinearity = torch.tanh

        def forward(self, x):
            out = (x - self.in_shift) / (self.in_scale + 1e-8)
            for layer in self.fc_layers[:-1]:
                out = self.nonlinearity(layer(out))
            return self.fc_layers[-1](out) * self.out_scale + self.out_shift

    return FCNetwork


@contextmanager
def mjrl():
    """The two classes, importable under mjrl's names for as long as it takes to pickle them."""
    network = _network_class()
    policy = type("MLP", (), {})
    found = {POLICY: policy, NETWORK: network}
    before = set(sys.modules)
    try:
        for path, cls in found.items():
            parts = path.split(".")
            for depth in range(1, len(parts) + 1):
                name = ".".join(parts[:depth])
                sys.modules.setdefault(name, types.ModuleType(name))
            cls.__module__, cls.__qualname__ = path, cls.__name__
            setattr(sys.modules[path], cls.__name__, cls)
        yield policy, network
    finally:
        for name in set(sys.modules) - before:
            if name.startswith("mjrl"):
                del sys.modules[name]


def write_policy(path: Path, sizes: tuple[int, ...], *, seed: int = 0, change=None):
    """Writes a random policy and returns its network, to compare with."""
    drawn = np.random.default_rng(seed)
    shifts = {
        "in_shift": drawn.normal(size=sizes[0]),
        "in_scale": drawn.uniform(0.01, 2, sizes[0]),
        "out_shift": drawn.normal(size=sizes[-1]) / 4,
        "out_scale": drawn.uniform(0.1, 1, sizes[-1]),
    }
    with mjrl() as (policy_class, network_class), torch.random.fork_rng():
        torch.manual_seed(seed)
        policy = policy_class()
        policy.n, policy.m, policy.min_log_std = sizes[0], sizes[-1], -3
        policy.model = network_class(sizes, shifts)
        policy.old_model = network_class(sizes, shifts)
        policy.log_std = torch.nn.Parameter(torch.zeros(sizes[-1]))
        policy.trainable_params = [*policy.model.parameters(), policy.log_std]
        policy.log_std_val = np.float64(policy.log_std.data.numpy().ravel())
        policy.param_sizes = [np.int64(3)]
        policy.obs_var = torch.zeros(sizes[0])
        if change is not None:
            change(policy)
        path.write_bytes(pickle.dumps(policy, protocol=3))
        return policy.model
