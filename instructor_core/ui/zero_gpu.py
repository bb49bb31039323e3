"""ZeroGPU: a Space with shared GPUs lends one to functions that its `spaces` package has wrapped."""

from __future__ import annotations

from importlib import import_module

from instructor_core.cache import OnDevice


def on_device() -> OnDevice:
    """Return what wraps a function that runs a model: `spaces.GPU` where that package is, else nothing.

    Call it before a model is loaded: `spaces` has to be imported before CUDA is used. Off a Space its wrapper does
    nothing either. Models are part of the wrapped functions and not arguments, since arguments are copied to the
    process that has the GPU.
    """
    try:
        wrap: OnDevice = import_module("spaces").GPU
    except ImportError:
        return lambda function: function
    return wrap
