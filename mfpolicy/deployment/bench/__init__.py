"""Latency of policies, measured beside one another."""
