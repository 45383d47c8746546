"""Random wishes of a few components about an option of a subscription, beside a plain dict of what they ask for."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from subcore import Component


class RandomWishes:
    """`held`: {component: {code: whether it asked for the option}}; `paused`: who is."""

    def __init__(
        self, rng: random.Random, names: str, codes: Sequence[str], make: Callable[[str], Component]
    ) -> None:
        self.held: dict[str, dict[str, bool]] = {}
        self.paused: set[str] = set()
        self._rng, self._names, self._codes, self._make = rng, names, codes, make
        self._components: dict[str, Component] = {}

    def step(self, options_for: Callable[[bool], Mapping[str, Any]]) -> None:
        """One call of one component. `options_for(on)`: what is given by keyword to ask for the option or not."""
        rng, held, paused = self._rng, self.held, self.paused
        name = rng.choice(self._names)
        if name not in self._components:
            self._components[name], held[name] = self._make(name), {}
        component, act = self._components[name], rng.random()
        some = rng.sample(self._codes, rng.randint(1, 3))
        on = rng.random() < 0.5
        options = options_for(on)
        if act < 0.45:
            component.subscribe("trade", some, **options)
            held[name].update(dict.fromkeys(some, on))
        elif act < 0.58:
            component.replace("trade", some, **options)
            held[name] = dict.fromkeys(some, on)
        elif act < 0.75:
            component.unsubscribe("trade", some)
            held[name] = {code: asked for code, asked in held[name].items() if code not in some}
        elif act < 0.9:
            (component.resume if name in paused else component.pause)()
            paused ^= {name}
        else:
            component.close()
            paused.discard(name)
            del self._components[name], held[name]

    def counted(self) -> list[tuple[str, bool]]:
        """(code, whether with the option) of every holder that is not paused."""
        return [item for name in self.held if name not in self.paused for item in self.held[name].items()]
