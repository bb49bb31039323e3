"""Scripts that never change are compressed once; everything else is answered by the app as ever."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from instructor_core.ui.server.serve import Shelf

BODY = "the same words again, " * 500


@pytest.fixture
def asked() -> Counter[str]:
    return Counter()


@pytest.fixture
def client(asked: Counter[str]) -> TestClient:
    def answer(request: Request) -> PlainTextResponse:
        asked[request.url.path] += 1
        return PlainTextResponse(BODY, status_code=404 if "missing" in request.url.path else 200)

    return TestClient(Starlette(routes=[Route("/{path:path}", answer)], middleware=[Middleware(Shelf)]))


def test_a_script_is_compressed_once_for_all_visitors(client: TestClient, asked: Counter[str]) -> None:
    for path in ("/assets/Index-abc.js", "/plotly.min.js"):
        for query in ("", "?v=1", ""):
            answer = client.get(path + query, headers={"accept-encoding": "gzip, br"})
            assert answer.text == BODY and answer.headers["content-encoding"] == "br"
            assert int(answer.headers["content-length"]) < 200 and answer.headers["vary"] == "Accept-Encoding"
        assert asked[path] == 1


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/gradio_api/file=/var/assets/x.js", {}),  # a visitor's
        ("/config", {}),
        ("/assets/missing.js", {}),
        ("/assets/x.js", {"accept-encoding": "gzip"}),
        ("/assets/x.js", {"range": "bytes=0-9"}),
        ("/assets/x.js", {"if-none-match": '"a"'}),
    ],
)
def test_whatever_else_is_asked_for_comes_from_the_app(
    client: TestClient, asked: Counter[str], path: str, headers: dict[str, str]
) -> None:
    for _ in range(2):
        answer = client.get(path, headers={"accept-encoding": "br"} | headers)
        assert answer.text == BODY and "content-encoding" not in answer.headers
    assert asked[path] == 2


def test_what_the_app_does_at_its_start_is_done_behind_the_shelf() -> None:
    started = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        started.append(True)
        yield

    with TestClient(Starlette(lifespan=lifespan, middleware=[Middleware(Shelf)])):
        assert started == [True]
