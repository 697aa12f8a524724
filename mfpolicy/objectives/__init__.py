"""Objectives: how a network learns the map from noise to action chunk, and how it is sampled.

Convention of the whole package: z_t = (1 − t) x + t e with data x at t = 0 and noise e at t = 1,
conditional velocity v = e − x, average velocity u(z, r, t) over [r, t]; one step is
x̂ = e − u(e, 0, 1).

Example:
    >>> import torch
    >>> from mfpolicy import objectives
    >>> objective = objectives.build("meanflow")
    >>> toward = lambda z, r, t: z - 0.5            # data that is always 0.5
    >>> objective.sample(toward, torch.zeros(1, 4, 2), steps=1)[0, 0]
    tensor([0.5000, 0.5000])
"""

from mfpolicy.objectives.alpha_flow import AlphaFlow
from mfpolicy.objectives.average_velocity import AverageVelocityObjective
from mfpolicy.objectives.base import OBJECTIVES, Objective
from mfpolicy.objectives.consistency_flow_matching import ConsistencyFlowMatching
from mfpolicy.objectives.consistency_midtraining import ConsistencyMidTraining
from mfpolicy.objectives.ddim import Ddim
from mfpolicy.objectives.energy_score import EnergyScore
from mfpolicy.objectives.flow_anchored_consistency import FlowAnchoredConsistency
from mfpolicy.objectives.flow_map_distillation import FlowMapDistillation
from mfpolicy.objectives.flow_matching import FlowMatching
from mfpolicy.objectives.improved_meanflow import ImprovedMeanFlow
from mfpolicy.objectives.meanflow import MeanFlow
from mfpolicy.objectives.mip import Mip
from mfpolicy.objectives.modular_meanflow import ModularMeanFlow
from mfpolicy.objectives.rectified_meanflow import RectifiedMeanFlow
from mfpolicy.objectives.regression import Regression
from mfpolicy.objectives.shortcut import Shortcut
from mfpolicy.objectives.split_meanflow import SplitMeanFlow
from mfpolicy.objectives.tilting import Tilting
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity

build = OBJECTIVES.build
names = OBJECTIVES.names

__all__ = [
    "OBJECTIVES",
    "AlphaFlow",
    "AverageVelocityObjective",
    "ConditionalVelocity",
    "ConsistencyFlowMatching",
    "ConsistencyMidTraining",
    "Ddim",
    "EnergyScore",
    "FlowAnchoredConsistency",
    "FlowMapDistillation",
    "FlowMatching",
    "ImprovedMeanFlow",
    "MeanFlow",
    "Mip",
    "ModularMeanFlow",
    "Objective",
    "RectifiedMeanFlow",
    "Regression",
    "Shortcut",
    "SplitMeanFlow",
    "Tilting",
    "Velocity",
    "build",
    "names",
]
