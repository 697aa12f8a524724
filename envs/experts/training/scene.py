"""A task of Adroit with what a reward needs measured by MuJoCo's own sensors."""

# pyright: reportAttributeAccessIssue=false
# (mujoco's compiled names have no stubs)
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.experts.training.rewards import REWARDS, Signals

PHYSICS_STEPS = 10  # of a control step: action repeat 2 times frame skip 5


class Scene:
    """One Adroit task at the control rate of its policies, without cameras.

    The model is gymnasium-robotics' own with position sensors added at the end, so that a planned
    rollout, which returns states and sensors only, and a step of the simulation are rewarded by
    the same numbers.

    Args:
        task: ``door``, ``hammer``, ``pen`` or ``relocate``.

    Attributes:
        center, scale: (A,) of the actuators: a command is ``center + action * scale``.
    """

    def __init__(self, task: str) -> None:
        import mujoco

        from envs.adroit import gymnasium_environment

        self._mujoco = mujoco
        self._env: Any = gymnasium_environment(task)
        self.reward = REWARDS[task]
        spec = mujoco.MjSpec.from_file(self._env.fullpath)
        for signal, (kind, name) in self.reward.measured.items():
            spec.add_sensor(
                name=f"signal_{signal}",
                type=mujoco.mjtSensor.mjSENS_FRAMEPOS,
                objtype=getattr(mujoco.mjtObj, f"mjOBJ_{kind}"),
                objname=name,
            )
        model = spec.compile()
        for gains in ("actuator_gainprm", "actuator_biasprm"):
            getattr(model, gains)[:] = getattr(self._env.model, gains)
        self._env.model, self._env.data = model, mujoco.MjData(model)
        self.model, self.data = model, self._env.data
        self.center, self.scale = self._env.act_mean, self._env.act_rng
        self._first = {name: model.sensor(f"signal_{name}").adr[0] for name in self.reward.measured}
        self.reset(0)

    @property
    def action_dim(self) -> int:
        """A, the number of actuators."""
        return int(self.model.nu)

    @property
    def horizon(self) -> int:
        """Control steps of an episode."""
        return self.reward.horizon

    def reset(self, seed: int) -> None:
        """Places the scene by ``seed``, as gymnasium-robotics does."""
        self._mujoco.mj_resetData(self.model, self.data)
        self._env.reset(seed=seed)

    def observe(self) -> NDArray[np.float64]:
        """(O,) the observation of gymnasium-robotics."""
        return self._env._get_obs()

    def step(self, action: NDArray[Any]) -> None:
        """One control step of an action (A,), clipped to [-1, 1]."""
        self.data.ctrl[:] = self.control(action)
        self._mujoco.mj_step(self.model, self.data, PHYSICS_STEPS)

    def control(self, action: NDArray[Any]) -> NDArray[np.float64]:
        """(…, A) actuator commands of actions (…, A)."""
        return self.center + np.clip(action, -1.0, 1.0) * self.scale

    def signals(self) -> Signals:
        """What the reward measures, now."""
        return self.signals_of(self.data.qpos, self.data.qvel, self.data.sensordata)

    def signals_of(
        self, qpos: NDArray[Any], qvel: NDArray[Any], sensordata: NDArray[Any]
    ) -> Signals:
        """What the reward measures, of states (…, Q), (…, V) with their sensors (…, D)."""
        measured = {name: sensordata[..., at : at + 3] for name, at in self._first.items()}
        return {**measured, "qpos": qpos, "qvel": qvel}
