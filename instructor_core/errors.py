"""The one family of errors whose message is written for the person in front of the screen."""

from __future__ import annotations


class UserError(ValueError):
    """A request that cannot be fulfilled as asked; everything else that is raised is a bug.

    The message names the subject, the rule, what was got, and what to do about it, for example
    "UMAP needs n_neighbors of at least 2: got 1. Choose 2 or more."
    """
