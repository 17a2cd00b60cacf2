"""The study's pages over HTTP: what a link opens, and that nothing opens without one."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from mvgen.study import manifest, routes, session
from mvgen.study.store import Store
from mvgen.tests.library.study_films import made

UNKNOWN = "x" * 43
FILM_VOTE = {"real": False, "finding": "edema", "realism": 4, "expected": True, "comment": "", "seconds": 3.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("routes"), repeats=1, checks=1, questionnaire=1)


@pytest.fixture
def store(folder):
    for path in folder.glob("votes.sqlite*"):
        path.unlink()
    store = Store(folder, manifest.read(folder))
    yield store
    store.close()


@web.middleware
async def host_headers(request, handler):
    """What ComfyUI adds with --disable-api-nodes and --enable-cors-header."""
    response = await handler(request)
    response.headers["Content-Security-Policy"] = "default-src 'self'"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def served(store):
    """A client of a real server of the study."""

    @asynccontextmanager
    async def client():
        table = web.RouteTableDef()
        routes.add_routes(table, [store])
        app = web.Application(middlewares=[host_headers])
        app.add_routes(table)
        async with TestClient(TestServer(app)) as opened:
            yield opened

    return client()


def run(store, test):
    async def within():
        async with served(store) as client:
            await test(client)

    asyncio.run(within())


def post(client, token, vote, **headers):
    origin = f"http://{client.host}:{client.port}"
    sent = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"} | headers
    data = json.dumps(vote) if isinstance(vote, dict) else vote
    return client.post(f"/mvg/study/{token}/votes", data=data, headers=sent)


def policy(answer):
    return set(answer.headers["Content-Security-Policy"].split("; "))


def vote_for(item, number):
    own = {**FILM_VOTE, "finding": "melanoma"} if item.kind == "film" else {"choice": "left", "seconds": 1.0}
    return {"item": number, **own}


def finding(store, item):
    return store.study.findings[store.study.film(item.left).domain][0]


def secrets(study):
    """What no rater may read: methods, files, and patients as JSON would have them."""
    return [*study.methods, *(film.file for film in study.films), *(f'"{film.patient}"' for film in study.films)]


def test_a_whole_session_and_nothing_of_the_methods(store):
    (number, token), _ = store.add_raters(2)
    items = session.items(store.study, number)

    async def test(client):
        told = []
        for path in ("", "/state"):
            answer = await client.get(f"/mvg/study/{token}{path}")
            told.append((await answer.text()) + str(answer.headers))
            assert answer.status == 200 and answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert {"media-src blob:", "frame-ancestors 'none'"} <= policy(answer)
            assert "Access-Control-Allow-Origin" not in answer.headers
        sizes = set()
        for n, item in enumerate(items):
            for side in ("left", "right") if item.right else ("left",):
                answer = await client.get(f"/mvg/study/{token}/films/{n}/{side}")
                body = await answer.read()
                sizes.add(len(body))
                told.append(str(answer.headers))
                assert body == (store.folder / "films" / item.file(side)).read_bytes()
                assert not {"ETag", "Last-Modified", "Content-Disposition"} & set(answer.headers)
            vote = vote_for(item, n)
            if item.kind == "film":
                vote["finding"] = finding(store, item)
            answer = await post(client, token, vote)
            told.append(await answer.text())
            assert answer.status == 200 and json.loads(told[-1])["done"] == n + 1
        assert json.loads(told[-1])["next"] is None and len(sizes) == 1
        assert [name for name in secrets(store.study) for text in told if name in text] == []
        answer = await post(client, token, {"item": len(items), "choice": "left", "seconds": 1})
        assert (answer.status, (await answer.json())["error"]) == (409, routes.FINISHED)

    run(store, test)


def test_a_finished_link_opened_again_shows_the_end(store):
    ((number, token),) = store.add_raters(1)
    items = session.items(store.study, number)
    for n, item in enumerate(items):
        answer = {"real": True, "finding": "edema", "realism": 3, "expected": True, "comment": ""}
        shown = {"kind": item.kind, "left": item.left, "right": item.right}
        store.vote(number, n, shown, {"choice": "left"} if item.right else answer, 2.0)
    before = store.rows()

    async def test(client):
        answer = await client.get(f"/mvg/study/{token}")
        assert answer.status == 200 and "study.js" in await answer.text()
        state = await (await client.get(f"/mvg/study/{token}/state")).json()
        assert (state["done"], state["of"], state["next"]) == (len(items), len(items), None)
        assert (await client.get(f"/mvg/study/{token}/films/{len(items)}/left")).status == 404
        assert store.rows() == before

    run(store, test)


def test_without_a_link_nothing_is_told(store):
    ((_, token),) = store.add_raters(1)

    async def test(client):
        for path in ("", "/", f"/{UNKNOWN}", f"/{UNKNOWN}/state", f"/{UNKNOWN}/films/0/left", f"/{token[:-1]}/state"):
            answer = await client.get(f"/mvg/study{path}")
            assert answer.status == 404 and str(store.folder) not in await answer.text()
        answer = await client.get(f"/mvg/study/{UNKNOWN}", headers={"Accept": "text/html,*/*"})
        assert (answer.content_type, await answer.text()) == ("text/plain", routes.UNKNOWN)
        for path in ("page/..%2Froutes.py", "page/study.html", "page/%2e%2e/manifest.py"):
            assert (await client.get(f"/mvg/study/{path}")).status == 404
        for place in ("0/..", "0/%2e%2e%2fstudy.json", "00/left", "-1/left", "2/left", "9999/left", "0/study.json"):
            answer = await client.get(f"/mvg/study/{token}/films/{place}")
            assert answer.status == 404, place
        answer = await post(client, UNKNOWN, {"item": 0, "choice": "left", "seconds": 1})
        assert (answer.status, (await answer.json())["error"]) == (404, routes.UNKNOWN)

    run(store, test)


def test_votes_of_one_link_are_unseen_by_another(store):
    (one, first), (other, second) = store.add_raters(2)
    items = session.items(store.study, one)

    async def test(client):
        item = items[0]
        vote = {**vote_for(item, 0), "finding": finding(store, item), "comment": "only mine"}
        assert (await post(client, first, vote)).status == 200
        text = await (await client.get(f"/mvg/study/{second}/state")).text()
        assert json.loads(text)["done"] == 0 and "only mine" not in text
        assert "only mine" not in await (await client.get(f"/mvg/study/{first}/state")).text()
        assert store.answered(other) == 0

    run(store, test)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_another_site_is_refused(store, headers):
    ((_, token),) = store.add_raters(1)

    async def test(client):
        answer = await post(client, token, {"item": 0, "choice": "left", "seconds": 1}, **headers)
        assert answer.status == 403 and store.rows() == []
        if "Sec-Fetch-Site" in headers:
            for path in ("state", "films/0/left"):
                assert (await client.get(f"/mvg/study/{token}/{path}", headers=headers)).status == 403
            typed = headers | {"Sec-Fetch-Dest": "document"}
            assert (await client.get(f"/mvg/study/{token}", headers=typed)).status == 200  # a link in a mail

    run(store, test)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"realism": 9}, "realism: got 9, want at most 5"),
        ({"realism": 0}, "realism: got 0, want at least 1"),
        ({"realism": 3.5}, "realism: got 3.5, want a"),
        ({"real": "yes"}, "real: got 'yes', want true or false"),
        ({"finding": "plague"}, "finding: got 'plague', want one of"),
        ({"comment": "x" * 2001}, "comment: got "),
        ({"seconds": -1}, "seconds: got -1, want at least 0"),
        ({"item": "0"}, "item: got '0', want a"),
        ({"item": -1}, "item: got -1, want at least 0"),
        ({"rater": 2}, "got an unknown field 'rater'"),
        ({"expected": None}, "expected: got None, want"),
    ],
)
def test_a_vote_out_of_range_is_told(store, change, line):
    ((number, token),) = store.add_raters(1)
    item = session.items(store.study, number)[0]
    assert item.kind == "film"

    async def test(client):
        vote = {"item": 0, **FILM_VOTE, "finding": finding(store, item)} | change
        answer = await post(client, token, vote)
        error = (await answer.json())["error"]
        assert answer.status == 400 and line in error and "\n" not in error
        assert store.rows() == []

    run(store, test)


async def slow():
    yield b"{"
    await asyncio.sleep(5)


def test_bodies_that_are_no_votes(store, monkeypatch):
    ((_, token),) = store.add_raters(1)

    async def test(client):
        for body in ("", "[]", "{", "[" * 5000, b"\xff\xfe"):
            assert (await post(client, token, body)).status == 400
        assert (await post(client, token, "x" * 20_000)).status == 413
        monkeypatch.setattr(routes, "BODY_SECONDS", 0.2)
        assert (await post(client, token, slow())).status == 408
        answer = await post(client, token, {"item": 5, "choice": "left", "seconds": 1})
        assert answer.status == 409 and "item 6 comes later" in (await answer.json())["error"]

    run(store, test)


def test_another_answer_to_the_same_item_changes_nothing(store):
    ((number, token),) = store.add_raters(1)
    item = session.items(store.study, number)[0]

    async def test(client):
        vote = {"item": 0, **FILM_VOTE, "finding": finding(store, item)}
        assert (await post(client, token, vote)).status == 200
        assert (await post(client, token, vote)).status == 200
        answer = await post(client, token, vote | {"realism": 1})
        content = await answer.json()
        assert (answer.status, content["error"], content["done"]) == (409, routes.ELSEWHERE, 1)
        assert [row["realism"] for row in store.rows()] == [4]

    run(store, test)


def test_a_full_disk_and_a_film_that_went_are_told(store):
    ((number, token),) = store.add_raters(1)
    item = session.items(store.study, number)[0]

    def fill(connection, _):
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")

    async def test(client):
        store.engine.dispose()
        sa.event.listen(store.engine, "connect", fill)
        # 6,000 bytes
        vote = {"item": 0, **FILM_VOTE, "finding": finding(store, item), "comment": "\u4e00" * 2000}
        answer = await post(client, token, vote)
        assert answer.status == 507 and "database or disk is full" in (await answer.json())["error"]
        assert store.answered(number) == 0
        path = store.folder / "films" / item.left
        content = path.read_bytes()
        path.unlink()
        answer = await client.get(f"/mvg/study/{token}/films/0/left")
        path.write_bytes(content)
        assert answer.status == 410 and "cannot be loaded" in (await answer.json())["error"]

    run(store, test)


def test_who_asks_too_much_waits_and_others_do_not(store):
    (_, first), (_, second) = store.add_raters(2)

    async def test(client):
        statuses = [(await client.get(f"/mvg/study/{first}/state")).status for _ in range(routes.BURST + 20)]
        assert statuses[: routes.BURST] == [200] * routes.BURST and 429 in statuses
        assert (await client.get(f"/mvg/study/{second}/state")).status == 200
        statuses = [(await client.get(f"/mvg/study/{UNKNOWN}/state")).status for _ in range(routes.BURST + 20)]
        assert set(statuses) == {404, 429}
        assert (await client.get(f"/mvg/study/{second}/state")).status == 200

    run(store, test)


def test_the_allowance_comes_back():
    now = [0.0]
    allowance = routes.Allowance(lambda: now[0])
    assert [allowance.take("a") for _ in range(routes.BURST + 1)] == [True] * routes.BURST + [False]
    now[0] += 1
    assert [allowance.take("a") for _ in range(routes.PER_SECOND + 1)] == [True] * routes.PER_SECOND + [False]


def test_studies_that_cannot_be_served_are_told(folder, tmp_path):
    stores, problems = routes.open_stores([folder, folder, tmp_path], [tmp_path / "output"])
    assert [store.folder for store in stores] == [folder] and "holds no study.json" in problems[0]
    _, problems = routes.open_stores([folder], [folder.parent])
    assert "whose files ComfyUI shows to everyone: move it elsewhere" in problems[0]
