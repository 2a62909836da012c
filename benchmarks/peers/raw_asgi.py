"""uvicorn raw_asgi:app: an ASGI application without a framework."""

import scoring

booster = scoring.load()


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = scoring.score(booster, body).encode()
    headers = [(b"content-type", b"text/csv"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
