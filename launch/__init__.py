"""What run.py does: set-up, host, server, demo and checks. Standard library only, except launch/demo."""
