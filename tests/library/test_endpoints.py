"""The operator's file of endpoints: what it may hold, and errors that quote neither key nor address."""

import json

import pytest
from mvgen.mvg.recaption.endpoints import Endpoint, EndpointError, load_endpoints, pick_endpoint

THERE = {"url": "https://llm.example.org/v1", "model": "m", "key_env": "K", "leaves_this_machine": True}


def test_endpoints_of_a_file(tmp_path):
    file = tmp_path / "endpoints.json"
    assert load_endpoints(file) == {}
    file.write_text(
        json.dumps(
            {
                "house": {
                    "url": "https://llm.example.org/v1",
                    "model": "big",
                    "key_env": "HOUSE_KEY",
                    "leaves_this_machine": True,
                },
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
        ({**THERE, "url": "https://x.org/v1", "key_env": ""}, "'e', key_env: is missing"),
        ({**THERE, "url": "http://x.org/v1"}, "'e', url: want https"),
        ({**THERE, "url": "https://x.org", "leaves_this_machine": "yes"}, "'e', leaves_this_machine: want true"),
        ({"url": "file:///etc/passwd", "model": "m"}, "'e', url: want an address"),
        ({"url": "https://user:pass-secret@x.org", "model": "m", "key_env": "K"}, "'e', url: want an address without"),
        ({"url": "https://x.org?key=secret", "model": "m", "key_env": "K"}, "'e', url: want an address without"),
        ({"url": "http://[", "model": "m"}, "'e', url: want an address"),
        ({"url": "https://x.org", "model": "m", "key_env": "sk-secret"}, "'e', key_env: want the name"),
        ({"url": "https://x.org", "model": "m", "key": "sk-secret"}, "'e': a key is not written in the file"),
        ({"url": "https://x.org", "model": "m", "secret": 1}, "'e', got an unknown field, want name, url, model"),
        ({"url": "https://x.org", "key_env": "K"}, "'e', model: is missing"),
        ({"url": 3, "model": "m"}, "'e', url: want text"),
        ({"url": "http://localhost/v1", "model": "m", "any_language": "yes"}, "'e', any_language: want true or false"),
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


@pytest.mark.parametrize(
    "host",
    ["llm.example.org", "localhost.example.org", "127.0.0.1.nip.io", "myhost", "0.0.0.0", "10.0.0.7", "localhost."],
)
def test_another_machine_is_for_the_operator_to_allow(host, tmp_path):
    file = tmp_path / "endpoints.json"
    item = {**THERE, "url": f"https://{host}/v1"}
    file.write_text(json.dumps({"e": {**item, "leaves_this_machine": False}}), encoding="utf-8")
    with pytest.raises(
        EndpointError, match=r"^endpoint 'e', url: is not on this machine; .*\"leaves_this_machine\": true"
    ):
        load_endpoints(file)
    file.write_text(json.dumps({"e": item}), encoding="utf-8")
    assert not load_endpoints(file)["e"].is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_this_machine_needs_no_leave(host):
    assert Endpoint("e", f"http://{host}/v1", "m").is_loopback


@pytest.mark.parametrize("url", ["http://127.0.0.1\\@x.org", "http://local\thost/v1", "http://localhost /v1"])
def test_addresses_that_programs_read_differently_are_refused(url):
    with pytest.raises(EndpointError, match=r"^url: want an address"):
        Endpoint("e", url, "m")
