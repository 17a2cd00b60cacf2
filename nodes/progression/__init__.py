"""Nodes that simulate the stages: PIE and the baselines."""
