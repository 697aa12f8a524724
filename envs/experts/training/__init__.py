"""Builds the experts of Adroit from nothing: planned demonstrations, then policy gradients.

1. `planner`: sampling MPC (MPPI) with MuJoCo's own rollouts solves episodes slowly, from a reward.
2. `policy`: a small network imitates the plans.
3. `natural_gradient`: DAPG improves it, with the plans as a guide at first.
4. `build`: the three in turn, resumable; the expert is the iterate that is best on 100 seeds.

torch and gymnasium-robotics are needed here, and nowhere else among the experts.
"""
