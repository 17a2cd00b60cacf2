"""The ComfyUI client: HTTP and websocket, standard library and aiohttp."""
