"""What run.py does: set-up, host, server, demo, batch and checks. Standard library only, except demo and cohort."""
