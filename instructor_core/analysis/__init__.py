"""Arrays in, frozen results out: no model, no figure and no browser is known here.

Every analysis starts from an `EmbeddingGrid` (instructions x texts) or from the token vectors of a
few sequences, and returns a frozen dataclass of arrays. Import the module you need; scikit-learn,
SciPy and UMAP are imported only by the functions that use them. `decide` is the one for plain arrays.
"""

from instructor_core.analysis.decision import Decision, decide

__all__ = ["Decision", "decide"]
