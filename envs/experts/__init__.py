"""Experts: where demonstrations come from."""
