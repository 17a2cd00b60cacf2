"""The study in a real ComfyUI: there for who holds a link, and for nobody else."""

import json
import urllib.error
import urllib.request

import pytest
from mvgen.study import manifest, session
from mvgen.study.store import Store
from mvgen.tests.host.hosting import EXTENSION


@pytest.fixture
def store(studied):
    store = Store(studied, manifest.read(studied))
    yield store
    store.close()


def fetch(server, path, data=None, **headers):
    """Status, headers and body, also of what is refused."""
    address = f"http://{server.address}{path}"
    body = None if data is None else json.dumps(data).encode()
    sent = {"Origin": f"http://{server.address}", "Content-Type": "application/json"} | headers if body else headers
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data=body, headers=sent), timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_a_link_opens_the_study_and_a_vote_is_kept(server, store):
    ((rater, token),) = store.add_raters(1)
    page = f"/mvg/study/{token}"
    assert fetch(server, page)[0] == 200 and b"study.js" in fetch(server, page)[2]
    for asset in ("study.js", "study.css"):
        assert fetch(server, f"/mvg/study/page/{asset}")[0] == 200
    item = session.items(store.study, rater)[0]
    status, headers, film = fetch(server, f"{page}/films/0/left")
    assert status == 200 and film == (store.folder / "films" / item.left).read_bytes()
    assert headers["Cache-Control"] == "no-store" and headers["ETag"] is None and headers["Last-Modified"] is None
    state = json.loads(fetch(server, f"{page}/state")[2])
    vote = {"item": 0, "real": True, "finding": state["next"]["findings"][0], "realism": 2, "expected": False}
    vote |= {"comment": "", "seconds": 1.5}
    assert fetch(server, f"{page}/votes", vote, Origin="http://elsewhere.example")[0] == 403
    assert store.answered(rater) == 0
    assert fetch(server, f"{page}/votes", vote)[0] == 200
    assert store.answered(rater) == 1


def test_without_a_link_there_is_nothing(server, store):
    for path in ("/mvg/study", "/mvg/study/", f"/mvg/study/{'x' * 43}", "/mvg", "/mvg/study/page/routes.py"):
        assert fetch(server, path)[0] == 404, path
    told = server.get("/object_info") and json.dumps([server.get("/extensions"), server.get("/features")])
    assert "study" not in told and str(store.folder) not in told
    # the script is for the study's page and not for ComfyUI's, which loads all that lies in web/
    assert fetch(server, f"/extensions/{EXTENSION}/study.js")[0] == 404


def test_a_study_where_everyone_can_look_is_not_served(server):
    log = (server.base / "server.log").read_text()
    assert "MVG study: served to who holds a link" in log
    assert "MVG study: not served" in log and "whose files ComfyUI shows to everyone: move it elsewhere" in log
    assert "answers other machines" not in log, "it listens at 127.0.0.1"
