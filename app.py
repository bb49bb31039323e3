"""The app: `python app.py` opens it on the bundled checkpoint, `--checkpoint PATH` on one of your own."""

from __future__ import annotations

import argparse
import sys

from instructor_core.ui.demo import build_demo, launch, local_checkpoint


def arguments(values: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description="See what an instruction does to a text embedding.")
    parser.add_argument("--checkpoint", metavar="PATH", help="folder of a checkpoint to offer first")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ...; chosen by itself if left out")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--host", help="address to listen on (GRADIO_SERVER_NAME, else 127.0.0.1)")
    parser.add_argument(
        "--port", type=int, help="port to listen on (GRADIO_SERVER_PORT, else the first free from 7860)"
    )
    return parser.parse_args(values)


options = arguments(sys.argv[1:] if __name__ == "__main__" else [])
checkpoint = local_checkpoint(options.checkpoint) if options.checkpoint else None
demo = build_demo(checkpoint, device=options.device, dtype=options.dtype)

if __name__ == "__main__":
    launch(demo, host=options.host, port=options.port)
