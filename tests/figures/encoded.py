"""A pair as the encoder describes it, with made-up vectors: what the figures of tokens are tested on."""

import numpy as np

from instructor_core.encoder import Segment, TokenEncoding

SEGMENT = {"i": Segment.INSTRUCTION, "s": Segment.STRADDLING, "t": Segment.TEXT, "e": Segment.END, "c": Segment.CUT}


def pair(tokens: str, segments: str, *, seed: int = 0, dim: int = 6) -> TokenEncoding:
    """An encoding of tokens separated by spaces ("▁<b> ▁good </s>") with one letter of `SEGMENT` for each."""
    pieces = tuple(tokens.split())
    kinds = tuple(SEGMENT[letter] for letter in segments)
    spans, joined = [], ""
    for piece, kind in zip(pieces, kinds, strict=True):
        if kind is Segment.END:
            spans.append((-1, -1))
            continue
        joined += " " if piece.startswith("▁") and joined else ""
        start = len(joined)
        joined += piece.removeprefix("▁")
        spans.append((start, len(joined)))
    n = len(pieces) - segments.count("c")
    first = segments.count("i")
    boundary = spans[first][0] if first < len(spans) and spans[first][0] >= 0 else len(joined)
    hidden = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return TokenEncoding(
        instruction=joined[:boundary],
        text=joined[boundary:],
        joined=joined,
        token_ids=np.array([sum(map(ord, piece)) for piece in pieces], dtype=np.int64),
        tokens=pieces,
        spans=np.array(spans, dtype=np.int64),
        segments=kinds,
        pooling_mask=np.arange(n) >= first,
        hidden=hidden,
        projected=hidden,
        n_instruction_tokens=first,
        max_seq_length=512,
    )
