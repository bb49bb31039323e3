"""`python -m instructor_core.export_onnx CHECKPOINT OUT`: a checkpoint as one ONNX graph, for any engine that reads it.

Mean, linear layer and scaling are inside: token ids and two masks in, embeddings of unit length out, for any number of
texts of any length. The folder OUT gets `model.onnx` (beside it `model.onnx.data`, where the weights exceed 2 GB) and
`tokenizer.json`. Who runs them needs neither PyTorch nor Transformers:

    tokenizer = tokenizers.Tokenizer.from_file("OUT/tokenizer.json")
    session = onnxruntime.InferenceSession("OUT/model.onnx")
    (embeddings,) = session.run(None, onnx_inputs(tokenizer, [("Represent the review: ", "The soup was cold.")]))

Each call is one batch, padded to its longest text: sort texts by length first. Int8 and half precision are up to the
engine.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from instructor_core.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

INPUTS = ("input_ids", "attention_mask", "pooling_mask")
OUTPUT = "sentence_embedding"


def onnx_inputs(
    tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], max_seq_length: int = 512
) -> dict[str, NDArray[np.int64]]:
    """Return what the graph takes for pairs (instruction, text), as `InstructorModel` makes it: each ``(N, longest)``.

    One thing is left out: a vocabulary that has "</s>" as a piece (T5's own) reads it as such where a text spells it.
    """
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # of what is typed; </s> at the end is added all the same
    clean = [
        tuple(part.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") for part in p) for p in pairs
    ]
    joined = [encoding.ids for encoding in tokenizer.encode_batch([i + text.strip() for i, text in clean])]
    alone = [len(encoding.ids) - 1 for encoding in tokenizer.encode_batch([i.strip() for i, _ in clean])]
    if max(alone, default=0) >= max_seq_length - 1:
        raise UserError(
            f"The instruction leaves no room for a text: it has {max(alone)} tokens, and the window is "
            f"{max_seq_length} with </s>. Shorten it."
        )
    rows = [[*ids[:-1][: max_seq_length - 1], ids[-1]] for ids in joined]
    arrays = {name: np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.int64) for name in INPUTS}
    for at, (row, n) in enumerate(zip(rows, alone, strict=True)):
        arrays["input_ids"][at, : len(row)] = row
        arrays["attention_mask"][at, : len(row)] = 1
        arrays["pooling_mask"][at, min(n, len(row) - 1) : len(row)] = 1
    return arrays


def export_onnx(checkpoint: str | Path, out: Path) -> Path:
    """Write the graph and the tokenizer of a checkpoint, a name or a folder, into a folder; return the graph's path."""
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    from instructor_core.encoder import InstructorModel

    class Graph(nn.Module):
        """The whole of INSTRUCTOR behind the tokenizer."""

        def __init__(self, model: InstructorModel) -> None:
            super().__init__()
            self.transformer, self.dense = model.transformer, model.dense

        def forward(self, input_ids: Tensor, attention_mask: Tensor, pooling_mask: Tensor) -> Tensor:
            """Take three ``(N, n)`` int64, return ``(N, D)`` of unit length."""
            hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            pooled = pooling_mask.to(hidden.dtype).unsqueeze(-1)
            return F.normalize(self.dense((hidden * pooled).sum(1) / pooled.sum(1)), dim=-1)

    out.mkdir(parents=True, exist_ok=True)
    # Trainable: as Transformers knows it. For inference its products are merged into operators that ONNX does not have.
    model = InstructorModel(checkpoint, device="cpu", trainable=True)
    # Three tensors, not one thrice, which would become one input; of any size but 1, which would become fixed.
    examples = tuple(torch.ones(2, 8, dtype=torch.int64) for _ in INPUTS)
    shape = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens")}
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch about itself
            program = torch.onnx.export(
                Graph(model).eval(),
                examples,
                input_names=INPUTS,
                output_names=[OUTPUT],
                dynamic_shapes=(shape, shape, shape),
                dynamo=True,
                verbose=False,
            )
    except ImportError as error:
        raise UserError(f'Export needs onnx and onnxscript ({error}): pip install "instructor-core[onnx]".') from error
    assert program is not None  # it is one with dynamo=True
    program.model.metadata_props["max_seq_length"] = str(model.max_seq_length)
    program.save(out / "model.onnx")
    model.tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    return out / "model.onnx"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m instructor_core.export_onnx",
        description="Write a checkpoint as model.onnx (mean, linear layer and scaling inside) and tokenizer.json.",
    )
    parser.add_argument("checkpoint", help="name or folder, for example instructor-mini")
    parser.add_argument("out", type=Path, help="folder to write into; it is made if need be")
    options = parser.parse_args(arguments)
    try:
        path = export_onnx(options.checkpoint, options.out)
    except (ValueError, OSError) as error:  # both families of errors for people are values
        print(f"export_onnx: {error}", file=sys.stderr)
        return 2
    print(f"{path} and {path.with_name('tokenizer.json').name}: inputs {', '.join(INPUTS)}; output {OUTPUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
