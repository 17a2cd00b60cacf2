"""MVG: medical video generation for disease progression, as ComfyUI nodes."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    from .nodes import MVGExtension

    return MVGExtension()
