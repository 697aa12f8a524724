"""A policy of a PointNet and a network on packed weights: a few compiled calls a decision."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import numba
import numpy as np
import torch

from mfpolicy.data.normalizer import ChannelNormalizer
from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.packed.cloud import BLOCK, pool_on_many, pool_on_one
from mfpolicy.deployment.packed.networks import pack_network
from mfpolicy.deployment.packed.threads import prefer_openmp
from mfpolicy.encoders.pointnet import PointNet
from mfpolicy.encoders.relative import RelativePoints
from mfpolicy.objectives.base import Objective


class PackedPolicy:
    """Decides like its :class:`ActionModule`, on a CPU, with buffers for ``batch`` rows.

    Args:
        module: what it computes; encoder ``pointnet``, a network of ``PACKED``.
        batch: rows of every call.
        precision: of the network's weights: float32, bfloat16 or int8. Activations, norms and the
            encoder stay in float32.
        threads: that share a layer; no more than there are cores.
    """

    def __init__(
        self, module: ActionModule, *, batch: int, precision: str = "float32", threads: int = 1
    ) -> None:
        prefer_openmp()
        self.module, self.batch = module, batch
        self.threads = min(threads, numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
        policy, spec = module.policy, module.spec
        self._network = pack_network(module, batch=batch, precision=precision, threads=self.threads)
        self._relative = policy.encoder.relative
        cloud = cast(PointNet, policy.encoder.cloud)  # as can_pack says
        self._clouds = _packed_points(cloud, policy.normalizer.point_cloud, self._relative)
        blocks = -(-(spec.points or 512) // BLOCK)
        frames = batch * spec.n_obs_steps
        self._partial = np.empty((frames, blocks, self._clouds.sizes[-1]), np.float32)
        self._scale = policy.normalizer.action.scale.numpy()
        self._offset = policy.normalizer.action.offset.numpy()
        plain = type(policy.objective).sample is Objective.sample
        boxed = policy.objective.noise.kind == "bounded"
        self.encoded_ns = 0
        self._one_jump = plain and not boxed and module.steps == 1

    @property
    def weight_bytes(self) -> int:
        """Bytes of the network's weights that a decision of one evaluation reads."""
        return self._network.weight_bytes

    def __call__(
        self, point_cloud: np.ndarray, agent_pos: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """(B, To, P, C), (B, To, S), (B, Th, A), float32 → actions (B, Ta, A)."""
        of_torch = torch.get_num_threads()
        try:
            numba.set_num_threads(self.threads)
            return self._decide(point_cloud, agent_pos, noise)
        finally:
            torch.set_num_threads(of_torch)  # both may share one OpenMP, which numba sets

    def _decide(
        self, point_cloud: np.ndarray, agent_pos: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        module = self.module
        activated = self._encode(point_cloud, agent_pos)
        self.encoded_ns = time.perf_counter_ns()
        self._network.prepare(activated)
        e = noise * np.float32(module.noise_scale)
        if self._one_jump:
            return self._executed(e - self._network.velocity(e, 0.0, 1.0))
        with torch.inference_mode():
            chunk = module.policy.objective.sample(
                self._velocity, torch.from_numpy(e), module.steps
            )
        return self._executed(chunk.numpy())

    def _encode(self, point_cloud: np.ndarray, agent_pos: np.ndarray) -> np.ndarray:
        """Returns Mish(condition), (B, C)."""
        frames = len(self._partial)
        encoder: Any = self.module.policy.encoder
        packed = self._clouds
        points = point_cloud.reshape(frames, *point_cloud.shape[2:])
        blocks = -(-points.shape[1] // BLOCK)
        if blocks != self._partial.shape[1]:
            self._partial = np.empty((frames, blocks, self._partial.shape[2]), np.float32)
        if self._relative is not None:
            points = _seen_from(self._relative, points, agent_pos.reshape(frames, -1))
        pool = pool_on_one if self.threads == 1 else pool_on_many
        pool(points, packed.offset, packed.sizes, packed.values, self._partial)
        with torch.inference_mode():
            clouds = encoder.cloud.projection(torch.from_numpy(self._partial).amax(dim=1))
            states = self.module.policy.normalizer.agent_pos(torch.from_numpy(agent_pos))
            features = torch.cat([clouds, encoder.state(states.flatten(0, 1))], dim=-1)
            condition = encoder.told(features.view(self.batch, -1))
            return torch.nn.functional.mish(condition).numpy()

    def _velocity(self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """u(z, r, t) as samplers ask for it; r and t are the same in every row."""
        return torch.from_numpy(self._network.velocity(z.numpy(), float(r[0]), float(t[0])).copy())

    def _executed(self, chunk: np.ndarray) -> np.ndarray:
        spec = self.module.spec
        first = spec.n_obs_steps - 1
        return chunk[:, first : first + spec.n_action_steps] / self._scale + self._offset


@dataclass(frozen=True)
class _PackedPoints:
    """Arguments of ``cloud.pool_on_one``: the per-point layers, normaliser inside."""

    offset: np.ndarray
    sizes: np.ndarray
    values: np.ndarray


def _seen_from(relative: RelativePoints, points: np.ndarray, states: np.ndarray) -> np.ndarray:
    """(F, P, C), (F, S), not normalised → what ``relative`` makes of them, in metres."""
    places = states[:, list(relative.positions)]  # (F, K, 3)
    seen = (points[:, :, None, :3] - places[:, None]).reshape(*points.shape[:2], -1)
    parts = [seen[..., :3], points[..., 3:], seen[..., 3:]] if relative.alone else [points, seen]
    parts += [np.tanh(seen / np.float32(width)) for width in relative.near_m]
    return np.concatenate(parts, axis=2)


def _packed_points(
    encoder: PointNet, normalizer: ChannelNormalizer, relative: RelativePoints | None
) -> _PackedPoints:
    scale, offset = normalizer.scale, normalizer.offset
    if relative is not None:
        # a displacement from one of the positions has the scale of the points, and no offset
        if relative.alone:
            offset = torch.cat([torch.zeros(3), offset[3:]])
        magnified = torch.ones(relative.added - relative.displaced)
        scale = torch.cat([scale, scale[:3].repeat(relative.displaced // 3), magnified])
        offset = torch.cat([offset, torch.zeros(relative.added)])
    layers: list[Any] = list(encoder.point_mlp)
    values: list[torch.Tensor] = []
    sizes = [layers[0].in_features]
    for linear, norm in zip(layers[::3], layers[1::3], strict=True):
        weight = linear.weight
        if not values:
            # the scale goes into the weights; the offset stays, subtracted first it is exact
            weight = weight * scale
        values += [weight.T.flatten(), linear.bias, norm.weight, norm.bias]
        sizes.append(linear.out_features)
    return _PackedPoints(
        offset=offset.numpy(),
        sizes=np.array(sizes, np.int64),
        values=torch.cat(values).numpy(),
    )
