"""What computes the chains of a cohort: running servers, ComfyUI processes of our own, a Ray cluster."""
