"""The demo, from the second process on: runs inside .venv, so Pillow and aiohttp are there."""
