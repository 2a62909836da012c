"""InvokeEndpoint, which the edges serve: they ask who may call which endpoint, and keep the answer for a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clary.auth.policy import denial
from clary.auth.principals import Keyring
from clary.services.access.authority import Authority
from clary.services.access.sagemaker import invoked
from clary.wire.messages import Headers, Request

Question = dict[str, Any]
Answer = dict[str, Any]


def answers(authority: Authority, keyring: Keyring) -> Mapping[str, Callable[[Question], Answer]]:
    """By the question's "ask". "permit", of {access_key, region, endpoint, scheme, peer}: {"found"} and "refusal":
    AWS's words when the owner of the key may not call the endpoint, else empty."""
    return {"permit": lambda question: _permit(authority, keyring, question)}


def _permit(authority: Authority, keyring: Keyring, question: Question) -> Answer:
    credential = keyring.find(str(question["access_key"]))
    if credential is None:
        return {"found": False}
    principal, region = credential.principal, str(question["region"])
    request = Request("POST", "/", Headers(), scheme=question["scheme"], peer=question["peer"])
    caller = authority.caller(principal, request, region)
    wanted = invoked(principal.account, region, question["endpoint"])
    decision = caller.decide(wanted.action, wanted.resource)
    refusal = "" if decision.allowed else denial(caller.ask(wanted.action, wanted.resource), decision)
    return {"found": True, "refusal": refusal}
