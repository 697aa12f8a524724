"""Deployment: from a trained policy to the chunk it decides, as fast as the machine allows."""
