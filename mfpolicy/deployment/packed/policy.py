"""A policy of a PointNet and a U-Net on packed weights: a few compiled calls a decision."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch

from mfpolicy.data.normalizer import ChannelNormalizer
from mfpolicy.deployment.action_module import ActionModule
from mfpolicy.deployment.packed.cloud import BLOCK, pool_on_many, pool_on_one
from mfpolicy.deployment.packed.layer import run_on_many, run_on_one
from mfpolicy.deployment.packed.plan import Place, plan_unet
from mfpolicy.deployment.packed.threads import prefer_openmp
from mfpolicy.encoders.pointnet import PointNet
from mfpolicy.networks import UNet1D
from mfpolicy.objectives.base import Objective
from mfpolicy.objectives.velocity import ConditionalVelocity

_NOTHING = np.zeros(0, np.float32)


class PackedPolicy:
    """Decides like its :class:`ActionModule`, on a CPU, with buffers for ``batch`` rows.

    Args:
        module: what it computes; encoder ``pointnet``, network ``unet1d``.
        batch: rows of every call.
        precision: of the U-Net's weights: float32, bfloat16 or int8. Activations, norms and the
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
        self._plan = plan_unet(policy.network, precision)  # type: ignore[arg-type]
        for part in ("down", "shrink", "middle", "up", "grow", "final", "project"):
            delattr(policy.network, part)  # packed by now; time and guidance stay
        self._arena = np.zeros((batch, self._plan.size), np.float32)
        place = self._plan.condition
        self._condition = slice(place.start, place.start + place.width)
        self._films: dict[tuple[float, float], np.ndarray] = {}
        self._clouds = _packed_points(policy.encoder.cloud, policy.normalizer.point_cloud)  # type: ignore[arg-type]
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
        """Bytes of the U-Net's weights that an evaluation reads."""
        return self._plan.weights.nbytes

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
        self._arena[:, self._condition] = self._encode(point_cloud, agent_pos)
        self.encoded_ns = time.perf_counter_ns()
        self._layers(self._plan.table[:1])  # the condition's share of all scales and shifts
        e = noise * np.float32(module.noise_scale)
        if self._one_jump:
            return self._executed(e - self._evaluate(e, 0.0, 1.0))
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
        pool = pool_on_one if self.threads == 1 else pool_on_many
        pool(points, packed.offset, packed.sizes, packed.values, self._partial)
        with torch.inference_mode():
            clouds = encoder.cloud.projection(torch.from_numpy(self._partial).amax(dim=1))
            states = self.module.policy.normalizer.agent_pos(torch.from_numpy(agent_pos))
            features = torch.cat([clouds, encoder.state(states.flatten(0, 1))], dim=-1)
            return torch.nn.functional.mish(features).view(self.batch, -1).numpy()

    def _velocity(self, z: torch.Tensor, r: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """u(z, r, t) as samplers ask for it; r and t are the same in every row."""
        return torch.from_numpy(self._evaluate(z.numpy(), float(r[0]), float(t[0])).copy())

    def _evaluate(self, z: np.ndarray, r: float, t: float) -> np.ndarray:
        """u(z, r, t), (B, Th, A), a view of the arena."""
        self._sequence(self._plan.noise)[:] = z
        self._layers(self._plan.table[1:], self._film_of(r, t))
        return self._sequence(self._plan.velocity)

    def _layers(self, table: np.ndarray, film: np.ndarray = _NOTHING) -> None:
        plan = self._plan
        run = run_on_one if self.threads == 1 else run_on_many
        run(
            *(table, plan.weights, plan.vectors, plan.pairs),
            *(self._arena.reshape(-1), self.batch, film),
        )

    def _film_of(self, r: float, t: float) -> np.ndarray:
        """What time and guidance add to scales and shifts: the same at every decision."""
        if (r, t) not in self._films:
            policy, (start, end) = self.module.policy, self._plan.film
            network: UNet1D = policy.network  # type: ignore[assignment]
            film = np.zeros(end, np.float32)
            with torch.inference_mode():
                nothing = ConditionalVelocity(network, torch.zeros(1, end - start))
                guided = policy.objective.at_scale(nothing, self.module.guidance_scale)
                time = network.time(torch.tensor([r]), torch.tensor([t]))
                share = network.film_time(torch.nn.functional.mish(time))
                film[start:] = (share + guided.prepared)[0]  # type: ignore[attr-defined]
            self._films[r, t] = film
        return self._films[r, t]

    def _executed(self, chunk: np.ndarray) -> np.ndarray:
        spec = self.module.spec
        first = spec.n_obs_steps - 1
        return chunk[:, first : first + spec.n_action_steps] / self._scale + self._offset

    def _sequence(self, place: Place) -> np.ndarray:
        """A place of the arena as (B, L, C)."""
        flat = self._arena[:, place.start : place.start + place.steps * place.row]
        return flat.reshape(self.batch, place.steps, place.row)[:, :, : place.width]


@dataclass(frozen=True)
class _PackedPoints:
    """Arguments of ``cloud.pool_on_one``: the per-point layers, normaliser inside."""

    offset: np.ndarray
    sizes: np.ndarray
    values: np.ndarray


def _packed_points(encoder: PointNet, normalizer: ChannelNormalizer) -> _PackedPoints:
    layers: list[Any] = list(encoder.point_mlp)
    values: list[torch.Tensor] = []
    sizes = [layers[0].in_features]
    for linear, norm in zip(layers[::3], layers[1::3], strict=True):
        weight = linear.weight
        if not values:
            # the scale goes into the weights; the offset stays, subtracted first it is exact
            weight = weight * normalizer.scale
        values += [weight.T.flatten(), linear.bias, norm.weight, norm.bias]
        sizes.append(linear.out_features)
    return _PackedPoints(
        offset=normalizer.offset.numpy(),
        sizes=np.array(sizes, np.int64),
        values=torch.cat(values).numpy(),
    )
