"""Builds the experts of Adroit from nothing.

Door, hammer and pen: planned demonstrations, then policy gradients.

1. `planner`: sampling MPC (MPPI) with MuJoCo's own rollouts solves episodes slowly, from a reward.
2. `policy`: a small network imitates the plans.
3. `natural_gradient`: DAPG improves it, with the plans as a guide at first.
4. `build`: the three in turn, resumable; the expert is the iterate that is best on 100 seeds.

Relocate, whose ball is easily lost under the noise that policy gradients need, goes another way:

1. `carrier`: a law of 58 numbers that takes a ball and carries it, without memory.
2. `search`: the cross-entropy method finds the numbers, from a reward.
3. `imitating`: a network learns the law by DAgger, resumable; the best round on 100 seeds is kept.

torch and gymnasium-robotics are needed here, and nowhere else among the experts.
"""
