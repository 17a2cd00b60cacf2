"""``run.py batch``: a cohort through ComfyUI processes of our own, running servers or a Ray cluster."""
