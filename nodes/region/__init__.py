"""Nodes that say where in the image the progression may change it."""
