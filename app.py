"""The app: `python app.py` opens it on the bundled checkpoint, `--checkpoint` on another one."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from dataclasses import replace

gc.disable()  # until the page is built: nothing of it is garbage, and looking for some takes a quarter of the start

from instructor_core.ui.demo import build_demo, build_runtime  # noqa: E402
from instructor_core.ui.server.serve import launch  # noqa: E402
from instructor_core.ui.server.settings import (  # noqa: E402
    DTYPES,
    VARIABLES,
    Settings,
    UserError,
    read_settings,
    with_checkpoint,
    with_comparison,
)


def arguments(values: list[str]) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description="See what an instruction does to a text embedding.",
        epilog="Environment variables, which options override:\n"
        + "\n".join(f"  {name:22} {meaning}" for name, meaning in VARIABLES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", metavar="PATH", help="folder of a checkpoint, or a name in the menu")
    parser.add_argument("--compare", metavar="PATH", help="another one, shown beside the first")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ...; chosen by itself if left out")
    parser.add_argument("--dtype", choices=DTYPES, help="float32 if left out")
    parser.add_argument("--host", help="address to listen on, 127.0.0.1 if left out")
    parser.add_argument("--port", type=int, help="port to listen on, the first free one from 7860 if left out")
    return parser.parse_args(values)


def settings(options: argparse.Namespace) -> Settings:
    """Return the settings of the environment with those of the command line over them."""
    checkpoints = ("checkpoint", "compare")
    given = {name: value for name, value in vars(options).items() if name not in checkpoints and value is not None}
    chosen = with_checkpoint(replace(read_settings(os.environ), **given), options.checkpoint)
    return with_comparison(chosen, options.compare)


try:
    chosen = settings(arguments(sys.argv[1:] if __name__ == "__main__" else []))
    runtime = build_runtime(chosen)
    demo = build_demo(runtime)
    gc.freeze()
    gc.enable()
    if __name__ == "__main__":
        launch(demo, runtime, host=chosen.host, port=chosen.port)
except UserError as error:
    sys.exit(str(error))
