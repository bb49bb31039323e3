"""Messages of customers (wish and product) and everyday sentences that mention things, each an axis of its own."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from instructor_core.train.mini.sentences import Labelled

_PARTS: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "scenes.json").read_text(encoding="utf-8"))
_SLOT = re.compile(r"\{([^}]+)\}")

SLOTS: dict[str, list[str]] = _PARTS["slots"]
"""What a scene may mention ("animal", "room"), and all words for it."""


def customer_messages(n: int, seed: int) -> list[Labelled]:
    """Make n messages of customers, whose intent and product are drawn independently."""
    rng = random.Random(f"customers {seed}")
    made = []
    for _ in range(n):
        intent, product = rng.choice(list(_PARTS["wishes"])), rng.choice(_PARTS["products"])
        text: str = rng.choice(_PARTS["wishes"][intent]).replace("{p}", product)
        if rng.random() < 0.5:
            text = rng.choice(_PARTS["openers"]) + text
        if rng.random() < 0.15:
            text = f"{text} {rng.choice(_PARTS['closings'])}"
        made.append(Labelled(text[0].upper() + text[1:], {"intent": intent, "product": product}))
    return made


def everyday_scenes(n: int, seed: int) -> list[Labelled]:
    """Make n texts of one or two sentences, with what they mention in each slot as a label.

    A slot that comes twice holds the same word, so that a text has one label of each axis at most.
    """
    rng = random.Random(f"scenes {seed}")
    made = []
    for _ in range(n):
        scene = " ".join(rng.sample(_PARTS["scenes"], 2 if rng.random() < 0.3 else 1))
        labels: dict[str, str] = {}
        for slot in _SLOT.findall(scene):
            labels.setdefault(slot, rng.choice(SLOTS[slot]))
        text = re.sub(r"(^|[.?!] )(\w)", lambda m: m[1] + m[2].upper(), scene.format_map(labels))
        made.append(Labelled(text, labels))
    return made
