"""Data distributions whose velocities and flow maps are known in closed form."""
