"""The instances behind an endpoint, as its record keeps them: what is wanted, what serves, and who is there.

An endpoint keeps a frozen copy of its configuration and models in each target, so that deleting those later harms
nothing. A new configuration is a new generation of members next to the old one; a change of counts or weights keeps
the generation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What an endpoint is to be: `config` and `models` (by name) are documents; counts and weights are by variant, and
    so is `images`: what each image was found to be before the first instance, which all later ones run too (`Pin`, as
    the Image has it; `ResolvedImage` and `ResolutionTime`, as Describe shows them)."""

    generation: int
    config: Document
    models: dict[str, Document]
    counts: dict[str, int]
    weights: dict[str, float]
    images: dict[str, Document] = field(default_factory=dict)

    def variant(self, name: str) -> Document:
        """The variant's entry in the configuration."""
        found: Document = next(each for each in self.config["ProductionVariants"] if each["VariantName"] == name)
        return found


@dataclass(frozen=True, slots=True)
class Member:
    """One instance. `launched`: the launch is known to have happened; `served`: it was healthy once; `unhealthy_since`
    is when a member that served stopped answering, 0 while it answers."""

    id: str
    variant: str
    generation: int
    token: str
    launched: bool = False
    healthy: bool = False
    served: bool = False
    address: str = ""
    unhealthy_since: float = 0.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """`serving` is None until the endpoint was in service once. `losses` counts members in a row that ended before they
    served, through no fault of the model; nothing is launched before `resume_at`. `drain` is how many seconds a
    replaced member goes on answering what reached it."""

    target: Target
    serving: Target | None = None
    members: tuple[Member, ...] = ()
    losses: int = 0
    resume_at: float = 0.0
    drain: float = 5.0

    @classmethod
    def load(cls, document: Document) -> Fleet:
        data = dict(document)
        data["target"] = Target(**data["target"])
        data["serving"] = Target(**data["serving"]) if data["serving"] else None
        data["members"] = tuple(Member(**each) for each in data["members"])
        return cls(**data)

    def dump(self) -> Document:
        """As JSON has it; `load` reads it back."""
        return dataclasses.asdict(self)

    def with_members(self, members: Iterable[Member]) -> Fleet:
        return dataclasses.replace(self, members=tuple(members))

    def of(self, target: Target, variant: str) -> list[Member]:
        """The members that count for a variant of a target."""
        return [each for each in self.members if each.variant == variant and each.generation == target.generation]

    def missing(self) -> list[tuple[str, int]]:
        """(variant, generation) of each member that should be there and is not: for what serves, and for what is to."""
        targets = {each.generation: each for each in (self.target, self.serving) if each is not None}
        wanted: list[tuple[str, int]] = []
        for generation in sorted(targets):
            # A change of counts shares its generation with what serves; the target's counts are the wanted ones.
            target = self.target if generation == self.target.generation else targets[generation]
            for variant, count in target.counts.items():
                wanted += [(variant, generation)] * (count - len(self.of(target, variant)))
        return wanted

    def ready(self) -> bool:
        """Whether the target can take all traffic."""
        return all(
            sum(each.healthy for each in self.of(self.target, variant)) >= count
            for variant, count in self.target.counts.items()
        )

    def needed(self) -> list[Member]:
        """The members that the target needs, healthy ones first: the others can go."""
        chosen: list[Member] = []
        for variant, count in self.target.counts.items():
            chosen += sorted(self.of(self.target, variant), key=lambda each: not each.healthy)[:count]
        return chosen

    def goal(self, generation: int) -> Target:
        """The target that members of a generation are launched for."""
        if self.serving is not None and generation == self.serving.generation != self.target.generation:
            return self.serving
        return self.target

    def with_images(self, found: Mapping[int, dict[str, Document]]) -> Fleet:
        """With the images of each generation."""
        target, serving = self.target, self.serving
        if serving is not None:
            serving = dataclasses.replace(serving, images=found[serving.generation])
        return dataclasses.replace(
            self, target=dataclasses.replace(target, images=found[target.generation]), serving=serving
        )
