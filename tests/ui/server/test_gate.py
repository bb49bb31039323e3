"""What makes no sense or is too large is refused in words, before a route of Gradio's fails over it."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from instructor_core.ui.server.gate import MAX_REQUEST_BYTES, Gate, mend


async def echo(request: Request) -> JSONResponse:
    return JSONResponse(json.loads(await request.body()))


async def count(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def fail(request: Request) -> JSONResponse:
    raise KeyError("/srv/secret\nforged line")


async def break_off(request: Request) -> StreamingResponse:
    async def parts() -> Any:
        yield "first"
        raise TypeError("surrogates not allowed")

    return StreamingResponse(parts())


@pytest.fixture(scope="module")
def client() -> TestClient:
    routes = [
        Route("/echo", echo, methods=["POST"]),
        Route("/count", count, methods=["POST"]),
        Route("/fail", fail),
        Route("/break", break_off),
    ]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Gate)]))


def test_a_route_that_fails_answers_400_without_detail_and_a_body_in_pieces_arrives_whole(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = client.get("/fail")
    assert answer.status_code == 400
    assert answer.json() == {"detail": "This request could not be understood. The API page lists what is taken."}
    (record,) = caplog.records
    assert "KeyError" in record.getMessage() and "\n" not in record.getMessage() and record.exc_info is None
    assert client.get("/break").text == "first"
    pieces = iter([b'["a', b"\\ud8", b'00", "b"]'])
    answer = client.post("/echo", content=pieces, headers={"content-type": "application/json"})
    assert answer.json() == ["a\ufffd", "b"]


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"])
def test_a_body_beyond_the_limit_is_refused_whether_it_is_announced_or_not(client: TestClient, kind: str) -> None:
    headers = {"content-type": kind}
    largest = b" " * MAX_REQUEST_BYTES
    assert client.post("/count", content=largest, headers=headers).text == str(MAX_REQUEST_BYTES)
    announced = client.post("/count", content=largest + b" ", headers=headers)
    streamed = client.post("/count", content=iter([largest, b" "]), headers=headers)
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert answer.json()["detail"].startswith("A request may have 16 MB.")


@given(st.text(st.characters(categories=["Cs", "L", "Po"]), max_size=8))
def test_half_surrogate_pairs_are_replaced_and_all_else_stays(text: str) -> None:
    read = json.loads(mend(json.dumps(text).encode()))
    assert read == json.loads(json.dumps(text)).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    read.encode()  # and a backslash that is escaped makes no escape of the u behind it
    assert mend(rb'"\\ud800 \u0041 \ud83d\ude00 \ude00\ud83d"') == rb'"\\ud800 \u0041 \ud83d\ude00 \ufffd\ufffd"'
