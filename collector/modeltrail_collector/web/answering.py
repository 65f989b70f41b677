"""What all requests have in common."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from modeltrail_collector.web.refusal import Refusal
from modeltrail_collector.web.status import ServeStatus

Handler = Callable[[Request], Awaitable[Response]]


def answering(handler: Handler, status: ServeStatus, refused: Callable[[Refusal], Response]) -> Handler:
    """The handler with its refusals turned into answers, and all answers counted."""

    async def answer(request: Request) -> Response:
        try:
            response = await handler(request)
        except Refusal as refusal:
            response = refused(refusal)
        status.requests[response.status_code] += 1
        return response

    return answer
