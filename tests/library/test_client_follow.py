"""A run that somebody looks on: messages come by websocket, how it ended is in the history."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web
from mvgen.client import Client

GRAPH = {"9": {"class_type": "SaveImage", "inputs": {}}}
SUBMITTED = web.AppKey("submitted", asyncio.Event)
SAVED = {"9": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}


async def websocket(request: web.Request) -> web.WebSocketResponse:
    """Tells of another's prompt and of ours, then breaks off before the end."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await request.app[SUBMITTED].wait()
    await socket.send_bytes(b"\0\0\0\1preview")
    for prompt in ("another", "ours"):
        await socket.send_json({"type": "executing", "data": {"node": "9", "prompt_id": prompt}})
    await socket.close()
    return socket


async def submit(request: web.Request) -> web.Response:
    request.app[SUBMITTED].set()
    return web.json_response({"prompt_id": "ours"})


async def history(request: web.Request) -> web.Response:
    return web.json_response({"ours": {"outputs": SAVED, "status": {"completed": True, "messages": []}}})


async def view(request: web.Request) -> web.Response:
    return web.Response(body=b"picture")


@pytest.fixture
def address() -> Iterator[str]:
    loop, ready, port = asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> None:
        app = web.Application()
        app[SUBMITTED] = asyncio.Event()
        app.add_routes([web.get("/ws", websocket), web.post("/prompt", submit)])
        app.add_routes([web.get("/history/ours", history), web.get("/view", view)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.append(runner.addresses[0][1])
        ready.set()

    threading.Thread(target=lambda: (loop.run_until_complete(serve()), loop.run_forever()), daemon=True).start()
    assert ready.wait(10)
    yield f"http://127.0.0.1:{port[0]}"
    loop.call_soon_threadsafe(loop.stop)


def test_a_broken_websocket_costs_progress_and_no_result(address, tmp_path):
    told = []
    Client(address).run(GRAPH, (), tmp_path, on_message=lambda kind, data: told.append((kind, data["prompt_id"])))
    assert told == [("executing", "ours")]
    assert (tmp_path / "a.png").read_bytes() == b"picture"
