"""The study in a real browser: raters side by side, the server killed among them, a link open twice, keys alone."""

import contextlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from mvgen.launch.browser import find_browser
from mvgen.launch.server import free_port
from mvgen.study import manifest, session
from mvgen.study.routes import ELSEWHERE, UNKNOWN
from mvgen.study.store import Store
from mvgen.tests.browser.chromium import open_browser_beside
from mvgen.tests.library.study_films import made


class Served:
    """The study's own server, which can be killed and started again at the same address."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None

    def start(self):
        command = [sys.executable, "-m", "mvgen.study", "serve", str(self.folder), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert "the study's pages: http://127.0.0.1:" in self.process.stdout.readline()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("study"), patients=1, repeats=1, checks=1, questionnaire=1)


@pytest.fixture(scope="module")
def served(folder):
    server = Served(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def store(served):
    store = Store(served.folder, manifest.read(served.folder))
    yield store
    store.close()


@pytest.fixture(scope="module")
def other_browser(browser):
    with open_browser_beside(browser, find_browser()) as started:
        yield started


@contextlib.contextmanager
def raters(browsers, served, tokens):
    """A tab a link, each in a browser of its own or, where ``browsers`` holds one twice, in contexts of that."""
    contexts = [browser.new_context(viewport={"width": 1280, "height": 720}) for browser in browsers]
    try:
        tabs = [context.new_page() for context in contexts]
        for tab, token in zip(tabs, tokens, strict=True):
            tab.goto(f"http://127.0.0.1:{served.port}/mvg/study/{token}")
            tab.locator("#begin").wait_for()
            tab.keyboard.press("Enter")
        yield tabs
    finally:
        for context in contexts:
            context.close()


def choose(tab, number):
    """Answers with keys alone, once the film has been seen -> what the vote should be."""
    tab.locator("#hint", has_text="Please answer").wait_for(timeout=30_000)
    if tab.locator("#right").is_visible():
        left = number % 2 == 0
        tab.keyboard.press("ArrowLeft" if left else "b")
        return {"choice": "left" if left else "right"}
    for key in ("g", "4", "y", "f", "ArrowDown", "Escape"):
        tab.keyboard.press(key)
    finding = tab.locator("#finding").input_value()
    return {"real": False, "realism": 4, "expected": True, "finding": finding, "comment": ""}


def test_two_raters_and_a_killed_server_lose_no_vote_and_count_none_twice(browser, other_browser, served, store):
    (one, first), (other, second) = store.add_raters(2)
    tokens, wanted = [first, second], {one: [], other: []}
    with raters([browser, other_browser], served, tokens) as tabs:
        count = len(session.items(store.study, one))
        for number in range(count):
            for rater, tab in zip((one, other), tabs, strict=True):
                wanted[rater].append(choose(tab, number + rater))
                if (number + rater) % 4 == 0:
                    served.kill()  # nobody is there to take the vote
                    tab.keyboard.press("Enter")
                    tab.locator("#message", has_text="is sent again until it is saved").wait_for()
                    served.start()
                elif (number + rater) % 4 == 1:
                    tab.keyboard.press("Enter")
                    time.sleep(0.002 * number)  # it may have been taken and not answered, or not taken
                    served.kill()
                    served.start()
                else:
                    tab.keyboard.press("Enter")
                tab.locator("#done", has_text=f"{number + 1} of {count}").wait_for(timeout=30_000)
                assert tab.locator("#message").is_hidden()
        for tab in tabs:
            tab.locator("#end").wait_for()
    rows = [row for row in store.rows() if row["rater"] in wanted]
    assert [(row["rater"], row["item"]) for row in rows] == [(r, n) for r in (one, other) for n in range(count)]
    for row in rows:
        vote = wanted[row["rater"]][row["item"]]
        assert {name: row[name] for name in vote} == vote


def test_a_link_open_twice_a_closed_browser_and_films_in_step(browser, served, store):
    ((rater, token),) = store.add_raters(1)
    with raters([browser, browser], served, [token, token]) as (one, other):
        vote = choose(one, 0)
        choose(other, 0)
        other.keyboard.press("1")
        one.keyboard.press("Enter")
        one.locator("#done", has_text="1 of").wait_for()
        other.keyboard.press("Enter")
        other.locator("#message", has_text=ELSEWHERE).wait_for()
        other.locator("#done", has_text="1 of").wait_for()  # and it goes on from there
        choose(other, 0)
        apart = "Math.abs(document.querySelector('#left').currentTime - document.querySelector('#right').currentTime)"
        other.keyboard.press(" ")
        other.keyboard.press(".")
        assert other.evaluate(apart) < 1e-6 and other.locator("#play").inner_text() == "Play"
        place = other.evaluate("document.querySelector('#left').currentTime")
        other.keyboard.press(".")
        assert other.evaluate("document.querySelector('#right').currentTime") == pytest.approx(place + 1 / 15, abs=0.01)
    mine = [row["realism"] for row in store.rows() if row["rater"] == rater]
    assert mine == [vote["realism"]]  # closed in the middle of the second
    with raters([browser], served, [token]) as (tab,):
        tab.locator("#done", has_text="1 of").wait_for()
        assert store.answered(rater) == 1


def test_every_part_has_a_name_that_is_read_out(browser, served, store):
    ((_, token),) = store.add_raters(1)
    with raters([browser], served, [token]) as (tab,):
        choose(tab, 0)
        for role, name in (("button", "Next"), ("button", "Pause"), ("slider", "Place in the film")):
            assert tab.get_by_role(role, name=name).count() == 1, name
        for group in ("Do you think this film is real", "How realistic", "Does the course fit", "Playback"):
            assert tab.get_by_role("group", name=group).count() == 1, group
        assert tab.get_by_role("combobox", name="Which finding").count() == 1
        assert tab.get_by_label("Film, chest X-ray").or_(tab.get_by_label("Film, skin lesion")).count() == 1
        tab.keyboard.press("Enter")
        tab.get_by_role("radio", name="Film A").wait_for()
        assert tab.get_by_role("heading", name="more plausible course").is_visible()


def test_an_unknown_link_is_told(served):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"http://127.0.0.1:{served.port}/mvg/study/{'x' * 43}", timeout=10)
    assert error.value.code == 404 and UNKNOWN in error.value.read().decode()
