"""Checkpoints as the released MP1, FlowPolicy and DP3 write them, and what their code does.

Names and shapes are those of the released codes; their network is the padded one of
``benchmarks/training/reference.py``, whose dead taps have values.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import torch
from omegaconf import OmegaConf

from benchmarks.deployment.stand_ins import DDIMScheduler
from benchmarks.training.reference import ReferencePolicy

STATE, ACTION, POINTS, WIDTHS = 5, 2, 8, (64, 64, 128)
FIELDS = {"point_cloud": 6, "agent_pos": STATE, "action": ACTION}
HORIZON = {"mp1": 4, "flowpolicy": 4, "dp3": 16}
KINDS = tuple(HORIZON)
_TARGETS = {
    "mp1": "mp1.policy.meanpolicy_dis.Meanpolicy",
    "flowpolicy": "flow_policy_3d.policy.flowpolicy.FlowPolicy",
    "dp3": "diffusion_policy_3d.policy.dp3.DP3",
}
_SCHEDULER = {
    "_target_": "diffusers.schedulers.scheduling_ddim.DDIMScheduler",
    "num_train_timesteps": 100,
    "beta_schedule": "squaredcos_cap_v2",
    "clip_sample": True,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "prediction_type": "sample",
}


def configuration(kind: str, changes: dict[str, Any] | None = None) -> Any:
    """Their configuration with its interpolations; ``changes`` by dotted key."""
    policy = {
        "_target_": _TARGETS[kind],
        "condition_type": "film",
        "use_pc_color": False,
        "pointnet_type": "pointnet" if kind == "dp3" else "mlp",
        "diffusion_step_embed_dim": 128,
        "down_dims": list(WIDTHS),
        "kernel_size": 5,
        "n_groups": 8,
        "encoder_output_dim": 64,
        "horizon": "${horizon}",
        "n_obs_steps": "${n_obs_steps}",
        "n_action_steps": "${n_action_steps}",
        "shape_meta": "${shape_meta}",
        "pointcloud_encoder_cfg": {
            "in_channels": 3,
            "out_channels": "${policy.encoder_output_dim}",
            "use_layernorm": True,
            "final_norm": "layernorm",
        },
    }
    if kind == "dp3":
        policy |= {"noise_scheduler": _SCHEDULER, "num_inference_steps": 10}
    observed = {"point_cloud": {"shape": [POINTS, 3]}, "agent_pos": {"shape": [STATE]}}
    config = OmegaConf.create(
        {
            "task": {"shape_meta": {"obs": observed, "action": {"shape": [ACTION]}}},
            "shape_meta": "${task.shape_meta}",
            "dataset": {"pad_before": "${eval:'${n_obs_steps}-1'}"},
            "horizon": HORIZON[kind],
            "n_obs_steps": 2,
            "n_action_steps": 4,
            "policy": policy,
        }
    )
    for key, value in (changes or {}).items():
        OmegaConf.update(config, key, value)
    return config


class Released:
    """A policy of theirs with random weights."""

    def __init__(self, kind: str, seed: int = 0) -> None:
        self.kind = kind
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = ReferencePolicy(state_dim=STATE, action_dim=ACTION, widths=WIDTHS)
        if kind != "mp1":
            del self.policy.model.diffusion_step_encoder_rs
            self.policy.model.diffusion_step_encoder_rs = _Nothing()
        self.affine = {
            name: (1 + torch.rand(n, generator=generator), torch.randn(n, generator=generator))
            for name, n in FIELDS.items()
        }

    def state(self) -> dict[str, torch.Tensor]:
        """Their state dict, with what of it decides nothing."""
        state = copy.deepcopy(self.policy.state_dict())
        state["_dummy_variable"] = torch.empty(0)
        state["mask_generator._dummy_variable"] = torch.empty(0)
        if self.kind != "dp3":
            state["model.var_est.0.weight"] = torch.ones(7, ACTION)
        for name, (scale, offset) in self.affine.items():
            place = f"normalizer.params_dict.{name}"
            state |= {f"{place}.scale": scale, f"{place}.offset": offset}
            state[f"{place}.input_stats.min"] = torch.zeros_like(scale)
        return state

    @torch.no_grad()
    def act(self, observation: dict[str, torch.Tensor], noise: torch.Tensor) -> torch.Tensor:
        """Their predict_action: executed actions in the environment's units."""
        seen = {}
        for name, value in observation.items():
            scale, offset = (part[: value.shape[-1]] for part in self.affine[name])
            seen[name] = value * scale + offset
        features = self.policy.obs_encoder(
            seen["point_cloud"].flatten(0, 1), seen["agent_pos"].flatten(0, 1)
        )
        condition = features.reshape(len(noise), -1)
        chunk = getattr(self, f"_{self.kind}")(condition, noise)
        scale, offset = self.affine["action"]
        return ((chunk - offset) / scale)[:, 1:5]

    def _predict(self, z: torch.Tensor, time: float, condition: torch.Tensor) -> torch.Tensor:
        times = torch.full((len(z),), time)
        return self.policy.model(z, times, torch.zeros(len(z)), condition)[0]

    def _mp1(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return noise - self._predict(noise, 1.0, condition)

    def _flowpolicy(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return noise + self._predict(noise, 99 * 0.01, condition)

    def _dp3(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        scheduler = DDIMScheduler(**{k: v for k, v in _SCHEDULER.items() if k != "_target_"})
        scheduler.set_timesteps(10)
        z = noise
        for time in scheduler.timesteps:
            z = scheduler.step(self._predict(z, float(time), condition), time, z).prev_sample
        return z


class _Nothing(torch.nn.Module):
    def forward(self, time: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(time), 1)


def payload(kind: str, **parts: Any) -> dict[str, Any]:
    """What their training script saves; ``parts`` replace entries."""
    states = {"model": Released(kind, seed=1).state(), "ema_model": Released(kind).state()}
    return {
        "cfg": configuration(kind),
        "state_dicts": {**states, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]}},
        "pickles": {"global_step": pickle.dumps(3), "_output_dir": pickle.dumps("outputs")},
        **parts,
    }
