"""Phantoms, benches and the training of the embedded networks. The product imports nothing of it."""
