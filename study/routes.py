"""The pages under /mvg/study: what a link opens. Nothing is told without one, and no method to anyone.

A client names an item by its place in the rater's own order and a side of it, never a file; a film comes without name,
date or tag, and all have the same number of bytes.
"""

import asyncio
import json
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from ..mvg.validation import validate
from . import session
from .manifest import FILMS, StudyError, read
from .store import AlreadyAnswered, NotSaved, Store

ROOT = "/mvg/study"
PAGE = Path(__file__).with_name("page")
ASSETS = {"study.js": "text/javascript", "study.css": "text/css"}
MAX_BODY = 16_384
BODY_SECONDS = 30
BURST, PER_SECOND = 40, 4  # requests of a rater; all that come with an unknown link share one allowance
DOMAINS = {"chest_xray": "chest X-ray", "fundus": "fundus photograph", "skin": "skin lesion"}
UNKNOWN = "This link is not known. Please check that you have copied all of it, or ask who sent it to you."
FINISHED = "You have answered everything; nothing more can be sent with this link."
ELSEWHERE = "This was answered before, perhaps in another window. The first answer counts."
FULL = "Your answer could not be saved: {reason}. It is still here; please tell who sent you the link, then try again."
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "media-src blob:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the link is the key
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
logger = logging.getLogger(__name__)


class Vote(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    item: int = Field(ge=0, le=100_000)
    seconds: float = Field(ge=0, le=86_400, allow_inf_nan=False)


class PairVote(Vote):
    choice: Literal["left", "right"]


class FilmVote(Vote):
    real: bool
    finding: str = Field(min_length=1, max_length=80)
    realism: int = Field(ge=1, le=5)
    expected: bool
    comment: Annotated[str, Field(max_length=2000)] = ""


class Refused(Exception):
    """A request that is not answered: a line for the rater, and the status of HTTP."""

    def __init__(self, status: int, line: str):
        super().__init__(line)
        self.status = status


@dataclass(frozen=True)
class Rater:
    """Who a link belongs to."""

    store: Store
    number: int

    @property
    def items(self) -> list[session.Item]:
        """Their questions."""
        return session.items(self.store.study, self.number)


class Allowance:
    """How much each may ask: ``BURST`` requests at once, then ``PER_SECOND``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self.left: dict[object, tuple[float, float]] = defaultdict(lambda: (float(BURST), clock()))

    def take(self, who: object) -> bool:
        """Whether one more request is within it."""
        left, since = self.left[who]
        now = self.clock()
        left = min(BURST, left + (now - since) * PER_SECOND)
        self.left[who] = (left - 1 if left >= 1 else left), now
        return left >= 1


def open_stores(folders: Sequence[Path], forbidden: Sequence[Path] = ()) -> tuple[list[Store], list[str]]:
    """Opens the studies that the operator names.

    Args:
        folders: Of the studies.
        forbidden: Folders that other pages show the files of; a study in one of them would be open to everybody.

    Returns:
        The studies that can be served, and a line on each that cannot.
    """
    stores, problems = [], []
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        try:
            if shown := next((place for place in forbidden if folder.is_relative_to(place.resolve())), None):
                raise StudyError(f"{folder} lies in {shown}, whose files ComfyUI shows to everyone: move it elsewhere")
            stores.append(Store(folder, read(folder)))
        except StudyError as error:
            problems.append(str(error))
    return stores, problems


def add_routes(routes: web.RouteTableDef, stores: Sequence[Store]) -> None:
    """Serves studies.

    Args:
        routes: Of the server.
        stores: The studies.
    """
    pages = Pages(stores)
    routes.get(ROOT + "/page/{name}")(guarded(pages.asset))
    routes.get(ROOT + "/{token}")(guarded(pages.page))
    routes.get(ROOT + "/{token}/state")(guarded(pages.state))
    routes.get(ROOT + "/{token}/films/{item}/{side}")(guarded(pages.film))
    routes.post(ROOT + "/{token}/votes")(guarded(pages.vote))


def guarded(handler: Handler) -> Handler:
    """A handler for requests of our own pages alone, whose refusals are one line and whose answers tell no more."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            check_origin(request)
            response = await handler(request)
        except Refused as refusal:
            if "text/html" in request.headers.get("Accept", ""):  # a person sees it, not the page's script
                response = web.Response(text=str(refusal), status=refusal.status)
            else:
                response = web.json_response({"error": str(refusal)}, status=refusal.status)
        except Exception:
            logger.exception("MVG: a request to the study failed")  # the rater is told nothing of the inside
            response = web.json_response({"error": "Something went wrong here. Please try again."}, status=500)
        response.headers.update(HEADERS)
        # sent here, as ComfyUI's middlewares would put a policy that blocks films, or leave to other sites, over ours
        await response.prepare(request)
        return response

    return handle


def check_origin(request: web.Request) -> None:
    """Raises Refused for a request that another site's page sends, or that a form could.

    Browsers send Sec-Fetch-Site with everything (none: typed or followed from outside a page) and Origin with POST.
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    typed = request.method == "GET" and request.headers.get("Sec-Fetch-Dest") == "document"
    if site not in ("same-origin", "none") and not typed:  # a link in a mail's page may be followed
        raise Refused(403, "This is answered to the study's own page alone.")
    if request.method == "POST":
        origin = request.headers.get("Origin", "").partition("://")[2]
        if origin.lower() != request.host.lower() or request.content_type != "application/json":
            raise Refused(403, "This is answered to the study's own page alone.")


class Pages:
    """The handlers of some studies."""

    def __init__(self, stores: Sequence[Store]):
        self.stores = list(stores)
        self.allowance = Allowance()

    async def rater(self, request: web.Request) -> Rater:
        """Who asks; Refused where that is not known, or where they ask too much."""
        token = request.match_info["token"]
        for store in self.stores if len(token) == 43 else ():
            number = await asyncio.to_thread(store.rater, token)
            if number is not None:
                if not self.allowance.take((store.folder, number)):
                    raise Refused(429, "That was too quick. Please wait a moment.")
                return Rater(store, number)
        if not self.allowance.take("unknown"):
            raise Refused(429, "That was too quick. Please wait a moment.")
        raise Refused(404, UNKNOWN)

    async def asset(self, request: web.Request) -> web.Response:
        """Script and style of the page."""
        name = request.match_info["name"]
        if name not in ASSETS:
            raise Refused(404, UNKNOWN)
        return web.Response(body=(PAGE / name).read_bytes(), content_type=ASSETS[name], charset="utf-8")

    async def page(self, request: web.Request) -> web.Response:
        """The page itself, for a link that is known; it holds nothing of the study."""
        await self.rater(request)
        return web.Response(body=(PAGE / "study.html").read_bytes(), content_type="text/html", charset="utf-8")

    async def state(self, request: web.Request) -> web.Response:
        """How far a rater is, and what they are asked next."""
        return web.json_response(await self._state(await self.rater(request)))

    async def _state(self, rater: Rater) -> dict[str, Any]:
        study, items = rater.store.study, rater.items
        done = await asyncio.to_thread(rater.store.answered, rater.number)
        state = {"title": study.title, "introduction": study.introduction, "done": done, "of": len(items), "next": None}
        if done < len(items):
            films = [study.film(file) for file in (items[done].left, items[done].right) if file]
            shown = {film.finding for film in films}
            state["next"] = {
                "item": done,
                "films": len(films),
                "ahead": sum(map(bool, (items[done + 1].left, items[done + 1].right))) if done + 1 < len(items) else 0,
                "domain": DOMAINS.get(films[0].domain, films[0].domain),
                # of a pair, as a course is judged against its disease; of a single film it is what is asked
                "finding": shown.pop() if len(films) == 2 and len(shown) == 1 else "",
                "question": study.question,
                "findings": study.findings.get(films[0].domain, []),
            }
        return state

    async def film(self, request: web.Request) -> web.Response:
        """A film of the item that a rater is at, or of the next one, which the page fetches ahead."""
        rater = await self.rater(request)
        items, place = rater.items, request.match_info["item"]
        done = await asyncio.to_thread(rater.store.answered, rater.number)
        ahead = {str(n): n for n in range(done, min(done + 2, len(items)))}
        file = items[ahead[place]].file(request.match_info["side"]) if place in ahead else None
        if file is None:
            raise Refused(404, "There is no such film at this point of the study.")
        try:
            body = await asyncio.to_thread((rater.store.folder / FILMS / file).read_bytes)
        except OSError as error:
            logger.error("MVG: the study %s lacks a film: %s", rater.store.folder, error)
            line = "A film cannot be loaded. Please tell who sent you the link; you can go on later from here."
            raise Refused(410, line) from error
        return web.Response(body=body, content_type="video/mp4")

    async def vote(self, request: web.Request) -> web.Response:
        """Keeps an answer, and tells what is asked next."""
        rater = await self.rater(request)
        content = await body_of(request)
        items = rater.items
        place = content.get("item")
        if type(place) is int and place >= len(items):
            raise Refused(409, FINISHED)
        item = items[place] if type(place) is int and place >= 0 else items[0]
        kind = PairVote if item.right else FilmVote
        vote = validate(kind, content, UnusableVote)
        known = rater.store.study.findings.get(rater.store.study.film(item.left).domain, [])
        if isinstance(vote, FilmVote) and vote.finding not in known:
            raise UnusableVote(f"finding: got {vote.finding!r}, want one of {', '.join(known)}")
        shown = {"kind": item.kind, "left": item.left, "right": item.right}
        answer = vote.model_dump(exclude={"item", "seconds"})
        try:
            await asyncio.to_thread(rater.store.vote, rater.number, vote.item, shown, answer, vote.seconds)
        except AlreadyAnswered:
            return web.json_response({"error": ELSEWHERE, **await self._state(rater)}, status=409)
        except LookupError as error:
            raise Refused(409, f"The answers come in order: {error}.") from error
        except NotSaved as error:
            logger.error("MVG: a vote of the study %s was not saved: %s", rater.store.folder, error)
            raise Refused(507, FULL.format(reason=error)) from error
        return web.json_response(await self._state(rater))


class UnusableVote(Refused):
    """A vote out of range."""

    def __init__(self, line: str):
        super().__init__(400, line)


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object that was sent; Refused where it is too large, too slow or none."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while len(body) <= MAX_BODY and not request.content.at_eof():
                body += await request.content.read(MAX_BODY + 1)
    except TimeoutError:
        raise Refused(408, f"That took too long: want an answer within {BODY_SECONDS} s.") from None
    if len(body) > MAX_BODY:
        raise Refused(413, f"That is too long: want at most {MAX_BODY} bytes.")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Refused(400, "got no JSON object, want an answer")
    return content
