"""Processes and models for Lava: adaptive neurons and recording."""
