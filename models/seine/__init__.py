"""SEINE: a video diffusion model for transitions between two given pictures (Chen et al., ICLR 2024).

config and unet: the network; checkpoint: its files; native: the network as the host's MODEL (imports the host).
"""
