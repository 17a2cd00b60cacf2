"""One demo: checks, server, run, result."""

import argparse
import asyncio
import secrets
import time

from ...client.websocket import Client
from ...launch.arguments import check_demo
from ...launch.host import ensure_host
from ...launch.paths import WORKFLOWS
from ...launch.server import Server, free_port
from . import graph, images, result
from .timing import Timing


def run(options: argparse.Namespace) -> int:
    check_demo(options)
    suffix = images.check_image(options.image, "--image")
    if options.mask is not None:
        images.check_mask(options.mask, options.image)
    host = ensure_host()
    token = f"demo-{secrets.token_hex(4)}"
    request = graph.Request(
        image=f"{token}{suffix}",
        report=f"{token}.txt",
        mask=f"{token}-mask.png" if options.mask else None,
        stages=options.stages,
        strength=options.strength,
        seed=options.seed,
        domain=options.domain,
        folder=token,
    )
    uploads = {request.image: options.image, request.report: options.report}
    if request.mask:
        uploads[request.mask] = options.mask
    prompt = graph.fill(graph.load(WORKFLOWS / f"mvg_{options.domain}.json"), request)
    print(f"image: {options.image}\nreport: {options.report}", flush=True)
    print(f"starting ComfyUI {host.version} ({host.found_by}) ...", flush=True)
    timing = Timing()
    with result.scratch(token):
        with Server(host, free_port()) as server:
            timing.line("start of ComfyUI", timing.part("start of ComfyUI"))
            saved = asyncio.run(Client(server, timing).run(prompt, uploads, options.stages))
        folder = result.publish(saved, options.out, time.strftime("%Y%m%d-%H%M%S"))
    timing.part("end of ComfyUI, copy of the result")
    timing.table()
    print(f"result: {folder}", flush=True)
    return 0
