"""A real server and a real Chromium on its page, once for all tests of this folder."""

from pathlib import Path

import pytest
from mvgen.launch.browser import find_browser
from mvgen.tests.browser.chromium import open_browser
from mvgen.tests.browser.comfy import open_comfy, set_settings
from mvgen.tests.host.hosting import running


def pytest_addoption(parser):
    parser.addoption("--front-end", type=Path, metavar="DIR", help="another front end than the host's own")
    parser.addoption("--nodes-2", action="store_true", help="with the page's setting Nodes 2.0")


@pytest.fixture(scope="session")
def browser():
    executable = find_browser()
    if executable is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with open_browser(executable) as started:
        yield started


@pytest.fixture(scope="session")
def server(request, tmp_path_factory, browser):
    front_end = request.config.getoption("--front-end")
    further = ("--front-end-root", str(front_end.resolve())) if front_end else ()
    with running(tmp_path_factory.mktemp("comfyui"), api_nodes=True, further=further) as started:
        set_settings(started, {"Comfy.VueNodes.Enabled": request.config.getoption("--nodes-2")})
        yield started


@pytest.fixture(scope="session")
def page(server, browser):
    with open_comfy(server, browser) as opened:
        yield opened
