"""Lifecycle policies: their rules read, and which images they expire.

All rules look at all images, in the order of their priorities. An image is expired by one rule at most, and by none
whose priority is behind that of another rule that its tags match.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

from clary.services.ecr import faults, wildcards

_DAY = 86_400.0  # seconds
_MOST_RULES = 50
_LARGEST = 1_000_000_000  # of priorities, days and images: beyond it there is nothing that could be meant
_COUNT, _AGE = "imageCountMoreThan", "sinceImagePushed"
_SELECTION = frozenset({"tagStatus", "tagPrefixList", "tagPatternList", "countType", "countUnit", "countNumber"})
_OPERATION = "PutLifecyclePolicy"


@dataclass(frozen=True, slots=True)
class Rule:
    """`status` is tagged, untagged or any. `wanted` are patterns, each of which one of an image's tags has to match.
    Those are expired that were pushed more than `days` ago, or all but the `count` youngest."""

    priority: int
    status: str
    wanted: tuple[str, ...]
    count: int | None
    days: int | None

    def covers(self, tags: Sequence[str]) -> bool:
        if self.status != "any" and bool(tags) != (self.status == "tagged"):
            return False
        return all(any(wildcards.matches(pattern, tag) for tag in tags) for pattern in self.wanted)


class Candidate(NamedTuple):
    """An image; `pushed` is epoch seconds."""

    digest: str
    pushed: float
    tags: tuple[str, ...]


class Expired(NamedTuple):
    """An image, and the priority of the rule that expires it."""

    image: Candidate
    priority: int


def expired(rules: Sequence[Rule], images: Sequence[Candidate], now: float) -> Iterator[Expired]:
    """`rules` by priority."""
    youngest = sorted(images, key=lambda each: (-each.pushed, each.digest))
    claimed: set[str] = set()
    for rule in rules:
        selected = [each for each in youngest if rule.covers(each.tags)]
        for image in selected if rule.count is None else selected[rule.count :]:
            old = rule.days is None or now - image.pushed > rule.days * _DAY
            if old and image.digest not in claimed:
                yield Expired(image, rule.priority)
        claimed.update(each.digest for each in selected)


@lru_cache(1024)  # pure, so never stale
def parse(text: str) -> tuple[Rule, ...]:
    """By priority. Raises InvalidParameterException."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid("it is not JSON") from None
    given = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_RULES or document.keys() != {"rules"}:
        raise _invalid(f"it has to be an object with 1 to {_MOST_RULES} rules")
    rules = sorted((_rule(each) for each in given), key=lambda rule: rule.priority)
    if len({rule.priority for rule in rules}) != len(rules):
        raise _invalid("two rules have the same rulePriority")
    if any(rule.status == "any" for rule in rules[:-1]):
        raise _invalid("a rule with tagStatus any has to have the largest rulePriority")
    if sum(rule.status == "untagged" for rule in rules) > 1:
        raise _invalid("only one rule may have tagStatus untagged")
    return tuple(rules)


def _rule(given: Any) -> Rule:
    if not isinstance(given, dict) or given.keys() - {"rulePriority", "description", "selection", "action"}:
        raise _invalid("a rule has rulePriority, description, selection and action")
    _check_action(given.get("action"))
    selection = given.get("selection")
    if not isinstance(selection, dict):
        raise _invalid("a rule has no selection")
    for member in selection.keys() - _SELECTION:
        raise faults.not_built(_OPERATION, f"selection.{member}")
    status = selection.get("tagStatus")
    if status not in ("tagged", "untagged", "any"):
        raise _invalid("tagStatus is tagged, untagged or any")
    number, priority = selection.get("countNumber"), given.get("rulePriority")
    if not _is_positive(priority) or not _is_positive(number):
        raise _invalid(f"rulePriority and countNumber are whole numbers from 1 to {_LARGEST}")
    by_count = _is_by_count(selection)
    wanted = tuple(_patterns(selection, status == "tagged"))
    return Rule(priority, status, wanted, number if by_count else None, None if by_count else number)


def _check_action(action: Any) -> None:
    kind = action.get("type") if isinstance(action, dict) else None
    if kind == "transition":
        raise faults.not_built(_OPERATION, "action.type transition")
    if action != {"type": "expire"}:
        raise _invalid("a rule's action is expire")


def _is_by_count(selection: Mapping[str, Any]) -> bool:
    kind, unit = selection.get("countType"), selection.get("countUnit")
    if kind not in (_COUNT, _AGE):
        raise faults.not_built(_OPERATION, f"countType {kind}")
    if (kind == _AGE) != (unit == "days") or (kind == _COUNT and unit is not None):
        raise _invalid(f"countUnit is days with {_AGE}, and left out with {_COUNT}")
    return bool(kind == _COUNT)


def _patterns(selection: Mapping[str, Any], tagged: bool) -> Iterator[str]:
    prefixes, patterns = selection.get("tagPrefixList") or [], selection.get("tagPatternList") or []
    if not isinstance(prefixes, list) or not isinstance(patterns, list):
        raise _invalid("tagPrefixList and tagPatternList are lists")
    if bool(prefixes) + bool(patterns) != tagged:
        raise _invalid("tagPrefixList or tagPatternList, one of them, belongs to tagStatus tagged and to no other")
    for each in (*prefixes, *patterns):
        if not isinstance(each, str) or not 1 <= len(each) <= 128 or (each in patterns and each.count("*") > 4):
            raise _invalid("a prefix or pattern of tags has 1 to 128 characters, a pattern at most four wildcards")
    if any("*" in each for each in prefixes):
        raise _invalid("a prefix has no wildcards")
    yield from (f"{each}*" for each in prefixes)
    yield from patterns


def _is_positive(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LARGEST


def _invalid(reason: str) -> Exception:
    return faults.invalid("LifecyclePolicyText", f"Lifecycle policy validation failure: {reason}")
