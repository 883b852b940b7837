"""How an application refuses to start."""

from starlette.types import ASGIApp, Receive, Scope, Send


class RefuseToStart:
    """Middleware that answers the server's request to start with a reason (ASGI lifespan)."""

    def __init__(self, app: ASGIApp, reason: str) -> None:
        self._app = app
        self._reason = reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": self._reason})
        else:
            await self._app(scope, receive, send)
