"""The operator's file of endpoints: what it may hold, and errors that quote neither key nor address."""

import json

import pytest
from mvgen.mvg.recaption.endpoints import Endpoint, EndpointError, load_endpoints, pick_endpoint


def test_endpoints_of_a_file(tmp_path):
    file = tmp_path / "endpoints.json"
    assert load_endpoints(file) == {}
    file.write_text(
        json.dumps(
            {
                "house": {"url": "https://llm.example.org/v1", "model": "big", "key_env": "HOUSE_KEY"},
                "here": {"url": "http://localhost:8000/v1", "model": "small"},
                "six": {"url": "http://[::1]:8000/v1", "model": "small"},
            }
        ),
        encoding="utf-8",
    )
    endpoints = load_endpoints(file)
    assert list(endpoints) == ["house", "here", "six"]
    assert pick_endpoint(endpoints, "here") == Endpoint("here", "http://localhost:8000/v1", "small")
    assert endpoints["here"].key() == "" and not endpoints["house"].is_loopback and endpoints["six"].is_loopback
    with pytest.raises(EndpointError, match=r"^endpoint: got 'http://evil/v1', want one of house, here, six"):
        pick_endpoint(endpoints, "http://evil/v1")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"url": "https://x.org/v1", "model": "m"}, "'e', key_env: is missing"),
        ({"url": "http://x.org/v1", "model": "m", "key_env": "K"}, "'e', url: want https"),
        ({"url": "http://127.0.0.1.x.org/v1", "model": "m"}, "'e', url: want https"),
        ({"url": "file:///etc/passwd", "model": "m"}, "'e', url: want an address"),
        ({"url": "https://user:pass-secret@x.org", "model": "m", "key_env": "K"}, "'e', url: want an address without"),
        ({"url": "https://x.org?key=secret", "model": "m", "key_env": "K"}, "'e', url: want an address without"),
        ({"url": "http://[", "model": "m"}, "'e', url: want an address"),
        ({"url": "https://x.org", "model": "m", "key_env": "sk-secret"}, "'e', key_env: want the name"),
        ({"url": "https://x.org", "model": "m", "key": "sk-secret"}, "'e': has an unknown field"),
        ({"url": "https://x.org", "key_env": "K"}, "'e': the field 'model' is missing"),
        ({"url": 3, "model": "m"}, "'e', url: got int"),
        ({"url": "http://localhost/v1", "model": "m", "any_language": "yes"}, "'e', any_language: got str, want true"),
        ({"url": "http://localhost/v1", "model": " "}, "'e', model: got an empty text"),
        ("https://x.org", "'e': got str, want an object"),
    ],
)
def test_a_bad_endpoint_is_named(item, message, tmp_path):
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps({"e": item}), encoding="utf-8")
    with pytest.raises(EndpointError) as caught:
        load_endpoints(file)
    assert str(caught.value).startswith(f"endpoint {message}") and "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"secret": "sk-secret"', "\udcff"])
def test_a_bad_file_is_named(text, tmp_path):
    file = tmp_path / "endpoints.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(EndpointError, match=r"^endpoints file endpoints.json: ") as caught:
        load_endpoints(file)
    assert "secret" not in str(caught.value) and caught.value.__context__ is None
