"""Nodes that bring in what a run starts from."""
