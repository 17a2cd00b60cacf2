"""What servers of language models answer with, sent by a real HTTP server: the one right plan, or why there is none."""

import asyncio
import json
import time
import traceback

import pytest
from llm_server import KEY, KEY_ENV, serving
from mvgen.mvg.recaption.answer import AnswerError
from mvgen.mvg.recaption.chat import CallError
from mvgen.mvg.recaption.client import recaption
from mvgen.mvg.recaption.completion import CompletionError, read_completion
from mvgen.mvg.recaption.endpoints import Endpoint
from mvgen.mvg.recaption.plan_objects import plan_objects

REPORT = "Small left pleural effusion. Heart size is normal."
STAGES = [
    {
        "prompt": f"frontal chest x-ray, {word} left pleural effusion",
        "finding": "pleural effusion",
        "severity": severity,
        "region": "left lung base",
        "rationale": "It grows.",
    }
    for word, severity in (("moderate", 0.5), ("severe", 0.85))
]
PLAN = {"side": "left", "stages": STAGES}
GOOD = json.dumps(PLAN)
FALLING = json.dumps({"side": "left", "stages": STAGES[::-1]})


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv(KEY_ENV, KEY)


def body(finish="stop", **message):
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": None, **message}}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def stages(**changes):
    return json.dumps({**PLAN, "stages": [{**stage, **changes} for stage in STAGES]})


def renamed(change):
    """The plan with every name and every text changed."""
    if isinstance(change, dict):
        return {name.capitalize(): renamed(value) for name, value in change.items()}
    if isinstance(change, list):
        return [renamed(item) for item in change]
    return change.title() if isinstance(change, str) else change


def call(arguments):
    return {"id": "c", "type": "function", "function": {"name": "progression_plan", "arguments": arguments}}


TEXTS = {
    "plain": GOOD,
    "afterthought": f'{GOOD}\nNote: {{"stages": []}} would be wrong.',
    "another afterthought": f'{GOOD}\nConfidence: {{"confidence": 0.9}}. I did not choose {FALLING}.',
    "no rationale": json.dumps({**PLAN, "stages": [{k: s[k] for k in s if k != "rationale"} for s in STAGES]}),
    "rationale is null": stages(rationale=None),
    "more fields": json.dumps({**json.loads(stages(stage=1, confidence="high")), "model": "m", "notes": []}),
    "capitals in values": json.dumps({**PLAN, "side": "Left"}),
    "capitals everywhere": json.dumps(renamed(PLAN)),
    "a last period": stages().replace('effusion", "finding', 'effusion.", "finding'),
    "in plan": json.dumps({"plan": PLAN}),
    "in result and data": json.dumps({"status": "ok", "result": {"data": PLAN}}),
    "in plan, with the side outside": json.dumps({"side": "left", "plan": {"stages": STAGES}}),
    "in an array": json.dumps([PLAN]),
    "in properties, with the schema": json.dumps({"type": "object", "properties": PLAN}),
    "as text in a wrapper": json.dumps({"answer": GOOD}),
    "as text": json.dumps(GOOD),
    "a tool call written out": f"<tool_call>{json.dumps({'name': 'plan', 'arguments': PLAN})}</tool_call>",
    "fence": f"```json\n{json.dumps(PLAN, indent=2)}\n```",
    "fence in prose": f"Here you are:\n```\n{GOOD}\n```\nTell me if {{you}} need more.",
    "thoughts": f"<think>Perhaps {FALLING}? No.</think>\n{GOOD}",
    "thoughts that end only": f"It is small; {FALLING} is wrong.</think>{GOOD}",
    "thoughts that never end": f"<think>The effusion is small.\n{GOOD}",
    "only thoughts": f"<think>{GOOD}</think>\n",
    "channels": f"<|channel|>analysis<|message|>{FALLING}<|end|><|start|>assistant<|channel|>final<|message|>{GOOD}",
    "trailing commas": GOOD.replace("}]", "},]").replace("}, {", ",}, {"),
    "single quotes": repr(PLAN),
    "single quotes and an apostrophe": repr(json.loads(stages(rationale="It's growing."))),
    "line break in a text": GOOD.replace("It grows.", "It\ngrows."),
    "byte order mark": f"\ufeff{GOOD}",
}
BODIES = {
    "content parts": body(content=[{"type": "text", "text": GOOD}]),
    "content parts with thoughts": body(
        content=[{"type": "thinking", "thinking": [{"type": "text", "text": FALLING}]}, {"type": "text", "text": GOOD}]
    ),
    "content in two parts": body(content=[{"type": "text", "text": GOOD[:90]}, {"type": "text", "text": GOOD[90:]}]),
    "content parts of the Responses API": body(content=[{"type": "output_text", "text": GOOD, "annotations": []}]),
    "content as an object": body(content=PLAN),
    "parsed": body(parsed=PLAN),
    "reasoning_content": body(content="", reasoning_content=f"It is small. {GOOD}"),
    "reasoning": body(reasoning=GOOD),
    "reasoning beside the answer": body(content=GOOD, reasoning_content=FALLING, refusal=None),
    "tool call": body("tool_calls", tool_calls=[call(GOOD)]),
    "tool call with an object": body("tool_calls", content="I call it.", tool_calls=[call(PLAN)]),
    "function call": body("function_call", function_call={"name": "plan", "arguments": GOOD}),
    "tool use part": body(content=[{"type": "tool_use", "name": "plan", "input": PLAN}]),
    "error null": {**body(content=GOOD), "error": None},
    "in an envelope": {"success": True, "result": body(content=GOOD)},
    "in an array": [body(content=GOOD)],
    "without an end": body(None, content=GOOD),
    "empty refusal": body(content=GOOD, refusal=""),
    "first choice empty": {"choices": [*body(content="")["choices"], *body(content=GOOD)["choices"]]},
    "delta": {"choices": [{"index": 0, "delta": {"content": GOOD}}]},
    "Ollama's own": {"model": "m", "message": {"role": "assistant", "content": GOOD}, "done": True},
}


def run(server, report=REPORT, **options):
    given = {"endpoint": server.endpoint, "timeout": 20, "backoff": 0.01, **options}
    return asyncio.run(recaption(report, "chest_xray", 2, "ladder", **given))


def check(plan):
    assert (plan.finding, plan.side, plan.region) == ("pleural effusion", "left", "left lung base")
    assert [stage.severity for stage in plan.stages] == [0.5, 0.85]
    assert [stage.prompt for stage in plan.stages] == [stage["prompt"] for stage in STAGES]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_plan_in_a_text(text):
    with serving(text) as server:
        check(run(server))
        assert len(server.requests) == 1


@pytest.mark.parametrize("data", BODIES.values(), ids=BODIES)
def test_the_plan_in_a_body(data):
    with serving((200, {}, json.dumps(data))) as server:
        check(run(server))
        assert len(server.requests) == 1


ERRORS = {
    "error": ({"error": {"message": "model not loaded"}}, "answers with an error; it says: model not loaded"),
    "error as text": ({"error": "model not loaded"}, "answers with an error; it says: model not loaded"),
    "error of a choice": (
        {"choices": [{"error": {"code": 502, "message": "Provider failed"}, "message": {"content": ""}}]},
        "answers with an error; it says: Provider failed 502",
    ),
    "error and no choice": ({"choices": [], "error": {"message": "out of memory"}}, "it says: out of memory"),
    "object error": ({"object": "error", "message": "no such model"}, "it says: no such model"),
    "detail": ({"detail": [{"msg": "engine stopped"}]}, "answers with an error; it says: engine stopped"),
    "refusal": (body(refusal="I cannot help with that."), "declined to answer; it says: I cannot help with that."),
    "refusal part": (body(content=[{"type": "refusal", "refusal": "I must decline."}]), "it says: I must decline."),
    "refusal as the end": (body("refusal", content="Ask a doctor."), "declined to answer; it says: Ask a doctor."),
    "content filter": (body("content_filter", content=GOOD[:40]), "withheld the answer, by its content filter"),
    "no choice": ({"id": "1", "choices": []}, "answers without a choice; its model wrote nothing"),
    "no choices": ({"id": "1"}, "answers, but not with a chat completion"),
    "echo": (
        {"error": {"message": f"bad key {KEY} at http://10.0.0.7/v1 in: Small left pleural effusion"}},
        "answers with an error; it says: bad key ... at ... in: ...",
    ),
}
RAW = {
    "stream": ('data: {"choices": [{"delta": {"content": "x"}}]}\n\ndata: [DONE]\n', "answers with a stream"),
    "page": (
        "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
        "answers with a web page, as a proxy or a login does; it says: 502 Bad Gateway nginx",
    ),
    "page that echoes": (
        f"<html>{REPORT} {KEY} Sign in</html>",
        "as a proxy or a login does; it says: ... is ... Sign in",
    ),
    "plain text": ("upstream timed out", "answers, but not with JSON; it says: upstream timed out"),
    "two objects": ('{"done": false}\n{"done": true}', "answers, but not with JSON"),
}


def failure(server, report=REPORT):
    with pytest.raises(CallError) as caught:
        run(server, report)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert caught.value.__context__ is None and KEY not in shown and "effusion" not in shown.casefold()
    return str(caught.value)


@pytest.mark.parametrize(("data", "message"), ERRORS.values(), ids=ERRORS)
def test_why_there_is_no_answer(data, message):
    with serving((200, {}, json.dumps(data))) as server:
        assert message in failure(server)
        assert len(server.requests) == 1, "no repair"


@pytest.mark.parametrize(("data", "message"), RAW.values(), ids=RAW)
def test_what_is_no_completion_is_named_by_its_first_words(data, message):
    for kind in ("text/html", "text/event-stream", "application/json"):
        with serving((200, {"Content-Type": kind}, data)) as server:
            assert message in failure(server)
            assert len(server.requests) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        (400, {"error": {"message": "'response_format.type' must be 'text'"}}),
        (400, {"error": "This model does not support json_schema"}),
        (404, {"error": {"message": "response_format: no endpoint found that supports it"}}),
        (415, {}),
        (422, {"detail": [{"loc": ["body", "response_format", "type"], "msg": "Input should be 'json_object'"}]}),
        (422, {"detail": [{"msg": "Extra inputs are not permitted"}]}),
        (501, {"error": {"message": "structured output is not implemented"}}),
        (200, {"error": {"message": "response_format is not supported"}}),
    ],
)
def test_a_server_without_schemas_is_asked_by_words_and_remembered(refusal):
    status, data = refusal
    with serving((status, {}, json.dumps(data)), GOOD) as server:
        check(run(server))
        check(run(server))
        first, second, third = (request for _, _, request in server.requests)
    assert "response_format" in first and "response_format" not in second and "response_format" not in third
    system = second["messages"][0]["content"]
    assert "Answer with one JSON object" in system and "with 2 members in stages" in system


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "This model's maximum context length is 4096 tokens"),
        (401, "response_format needs another key"),
        (404, "The model m does not exist"),
        (422, "The prompt was withheld"),
    ],
)
def test_another_refusal_is_told_and_not_asked_again(status, said):
    with serving((status, {}, json.dumps({"error": {"message": said}}))) as server:
        assert f"refused with status {status}" in (message := failure(server)) and said in message
        assert len(server.requests) == 1


def test_a_server_that_refuses_both_is_remembered_for_neither():
    with serving((400, {}, '{"error": "no response_format"}'), (400, {}, '{"error": "no luck"}'), GOOD) as server:
        assert "it says: no luck" in failure(server)
        check(run(server))
        assert "response_format" in server.requests[2][2]


def test_a_plan_that_was_only_thought_of_before_the_cut_is_none():
    cut = (200, {}, json.dumps(body("length", reasoning_content=GOOD)))
    with serving(cut) as server, pytest.raises(AnswerError, match="its answer was cut off"):
        run(server)


@pytest.mark.parametrize("text", [FALLING, GOOD.replace("}]}", ""), "I am sorry.", GOOD.replace('"', "”")])
def test_what_is_no_plan_is_sent_back_once(text):
    with serving(text, GOOD) as server:
        check(run(server))
        assert len(server.requests) == 2


def test_names_of_a_report_are_in_no_error():
    report = "Mr Lee has a small left pleural effusion."
    with serving((200, {}, json.dumps({"error": {"message": "busy with Lee, small left, try later"}}))) as server:
        assert failure(server, report).endswith("it says: busy with ... try later")


def test_an_endpoint_of_the_same_address_with_another_model_has_its_own_memory():
    with serving((400, {}, '{"error": "response_format"}'), GOOD) as server:
        check(run(server))
        check(run(server, endpoint=Endpoint("other", server.endpoint.url, "large", KEY_ENV)))
        assert ["response_format" in request for _, _, request in server.requests] == [True, False, True]


def test_half_a_character_can_be_sent_back():
    with serving((200, {}, json.dumps(body(content="\ud800 I am sorry."))), GOOD) as server:
        check(run(server))
        assert server.requests[1][2]["messages"][2]["content"] == "? I am sorry."


@pytest.mark.parametrize(
    "text",
    [
        '"' * 99_000,
        "{" + '\\"' * 49_000,
        "{ '" + "\\'" * 49_000,
        "{" + ", " * 49_000,
        '{"stages": [' * 8000,
        "<" * 99_000,
    ],
    ids=["quotes", "escaped quotes", "single quotes", "commas", "brackets", "tags"],
)
def test_hostile_texts_are_read_soon(text):
    start = time.monotonic()
    assert plan_objects(text) == []
    with pytest.raises(CompletionError):
        read_completion(text.encode())
    assert time.monotonic() - start < 5
