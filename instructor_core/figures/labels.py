"""Groups of texts as figures draw them: name, members, colour and marker of every label, or of every found group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from instructor_core.analysis.groups import Groups
from instructor_core.figures import theme
from instructor_core.figures.charts import NEUTRAL

MAX_SYMBOLS = 6  # groups up to which the marker shape is a second channel; more are told by name and colour
MAX_DRAWN = 60  # labels, the first ones, that are drawn apart


@dataclass(frozen=True)
class LabelGroup:
    """One label or found group; `named` is false for the rest, which is grey and has no place of its own."""

    name: str
    members: tuple[int, ...]
    color: str
    rank: int
    named: bool = True

    @property
    def symbol(self) -> str:
        """Marker shape in two dimensions."""
        return theme.LABEL_SYMBOLS[self.rank] if self.rank < MAX_SYMBOLS else "circle"


def label_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Different labels in the order in which they first appear, without ""; the order of their colours."""
    return tuple(dict.fromkeys(label for label in labels if label))


def label_groups(labels: Sequence[str] | None, n: int, found: Groups | None = None) -> tuple[LabelGroup, ...]:
    """The groups of `n` texts: of their labels where there are any, else the found ones, else all as one grey group.

    Grey groups come first, so that others are drawn over them: texts without a label, and the labels after the first
    `MAX_DRAWN`, whose colours would be those of others anyway.
    """
    if labels is None or not any(labels):
        if found is None or len(found.names) < 2:
            return (LabelGroup("texts", tuple(range(n)), NEUTRAL, 0, named=False),)
        labels = [found.names[group] for group in found.index.tolist()]
        names = found.names[:MAX_DRAWN]
    else:
        names = label_names(labels)[:MAX_DRAWN]
    members: dict[str, list[int]] = {name: [] for name in names}
    rest: list[int] = []
    beyond: list[int] = []
    for i, label in enumerate(labels):
        (members.get(label, beyond) if label else rest).append(i)
    grey = (("no label", rest), ("further labels", beyond))
    return (
        *(LabelGroup(name, tuple(listed), NEUTRAL, 0, named=False) for name, listed in grey if listed),
        *(
            LabelGroup(name, tuple(listed), theme.label_color(rank), rank)
            for rank, (name, listed) in enumerate(members.items())
        ),
    )
