"""uvicorn fastapi_app:app"""

import scoring
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

app = FastAPI()
booster = scoring.load()


@app.post("/invocations")
async def invocations(request: Request) -> PlainTextResponse:
    return PlainTextResponse(scoring.score(booster, await request.body()), media_type="text/csv")
