"""A server that counts the requests that the guard lets through: a port as its argument."""

import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from loopback_server.serving import serve

counted: list[str] = []


async def count(request: Request) -> Response:
    await request.body()
    if request.method == "POST":
        counted.append(request.url.path)
    return PlainTextResponse(str(len(counted)))


if __name__ == "__main__":
    app = Starlette(routes=[Route("/", count, methods=["GET", "POST"])])
    serve(app, int(sys.argv[1]), "counting server")
