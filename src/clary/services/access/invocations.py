"""InvokeEndpoint, which the edges serve: they ask who may call which endpoint, and keep the answer for a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from clary.auth.policy import Caller, Policy, denial
from clary.auth.principals import Keyring
from clary.services.access.authority import Authority
from clary.services.access.sagemaker import invoked
from clary.store.engine import Database
from clary.wire.messages import Headers, Request

Question = dict[str, Any]
Answer = dict[str, Any]

_OF_HEADERS = ("aws:useragent", "aws:referer", "sagemaker:targetmodel")  # condition keys that PERMIT_HEADERS give


def answers(authority: Authority, keyring: Keyring, records: Database) -> Mapping[str, Callable[[Question], Answer]]:
    """By the question's "ask". "permit", of {access_key, region, endpoint, scheme, peer}: {"found"}, "refusal": AWS's
    words when the owner of the key may not call the endpoint, else empty, and "particular": whether that is so of a
    request with the "headers" (name, value) of the question alone, since a policy looks at them."""
    return {"permit": lambda question: _permit(authority, keyring, records, question)}


def _permit(authority: Authority, keyring: Keyring, records: Database, question: Question) -> Answer:
    credential = keyring.find(str(question["access_key"]))
    if credential is None:
        return {"found": False}
    principal, region = credential.principal, str(question["region"])
    headers = Headers([(name, value) for name, value in question.get("headers", ())])
    request = Request("POST", "/", headers, scheme=question["scheme"], peer=question["peer"])
    caller = authority.caller(principal, request, region)
    target = headers.get("x-amzn-sagemaker-target-model")
    wanted = invoked(records, principal.account, region, question["endpoint"], target)
    decision = caller.decide(wanted.action, wanted.resource, wanted.context)
    refusal = "" if decision.allowed else denial(caller.ask(wanted.action, wanted.resource), decision)
    return {"found": True, "refusal": refusal, "particular": _particular(caller)}


def _particular(caller: Caller) -> bool:
    mine = caller.identity
    return any(_looks_at_headers(each) for each in (*mine.policies, *(mine.session or ()), mine.boundary) if each)


@lru_cache(maxsize=4096)
def _looks_at_headers(policy: Policy) -> bool:
    return not policy.condition_keys().isdisjoint(_OF_HEADERS)
