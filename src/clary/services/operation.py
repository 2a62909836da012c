"""What an operation is: a plain function of a call and its parameters, entered in its service's table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from clary.auth.policy import Caller
from clary.auth.principals import Principal
from clary.context import Platform
from clary.wire.messages import Body, Request

Document = dict[str, Any]


class Call(NamedTuple):
    """One authenticated, authorised, validated request. `body` is the verified payload stream of operations with a
    streaming input (the parameter itself holds the same object); `request` gives headers to those who need them;
    `caller` tells what else its principal may do, for what is known only on the way."""

    platform: Platform
    principal: Principal
    service: str
    operation: str
    account: str
    region: str
    request_id: str
    request: Request
    body: Body
    caller: Caller


Result = Mapping[str, Any]  # a Document, or one that is written already (wire/body_json.py)
Handler = Callable[[Call, Document], Result]
H = TypeVar("H", bound=Handler)


class Operations:
    """The operations of one service, or of one resource of it: name -> function.

    operations = Operations()

    @operations.handles("CreateModel")
    def create_model(call: Call, given: Document) -> Document: ...
    """

    def __init__(self) -> None:
        self._table: dict[str, Handler] = {}
        self._reasons: dict[str, str] = {}

    def handles(self, name: str) -> Callable[[H], H]:
        def enter(handler: H) -> H:
            self.add(name, handler)
            return handler

        return enter

    def add(self, name: str, handler: Handler) -> None:
        if name in self._table:
            raise ValueError(f"two handlers for {name}")
        self._table[name] = handler

    def include(self, other: Operations) -> None:
        for name, handler in other:
            self.add(name, handler)
        self._reasons.update(other.reasons)

    def leaves_out(self, why: str, *names: str) -> None:
        """Operations that are not built for a reason, which who asks for one of them is told."""
        self._reasons.update(dict.fromkeys(names, why))

    @property
    def reasons(self) -> Mapping[str, str]:
        """By operation, why it is not built; of most that are not nothing is said."""
        return self._reasons

    def find(self, name: str) -> Handler | None:
        return self._table.get(name)

    def __iter__(self) -> Iterator[tuple[str, Handler]]:
        return iter(self._table.items())

    def __len__(self) -> int:
        return len(self._table)
