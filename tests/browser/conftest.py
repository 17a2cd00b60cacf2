"""A real server and a real Chromium on its page, once for all tests of this folder."""

import pytest
from mvgen.launch.browser import find_browser
from mvgen.tests.browser.chromium import open_browser
from mvgen.tests.browser.comfy import open_comfy
from mvgen.tests.host.hosting import running


@pytest.fixture(scope="session")
def browser():
    executable = find_browser()
    if executable is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with open_browser(executable) as started:
        yield started


@pytest.fixture(scope="session")
def server(tmp_path_factory, browser):
    with running(tmp_path_factory.mktemp("comfyui"), api_nodes=True) as started:
        yield started


@pytest.fixture(scope="session")
def page(server, browser):
    with open_comfy(server, browser) as opened:
        yield opened
