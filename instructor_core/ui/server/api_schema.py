"""How a typed method becomes an endpoint: its arguments are checked, its errors are sentences, it describes itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, get_type_hints

import gradio as gr
from pydantic import ConfigDict, ValidationError, validate_call
from pydantic.fields import FieldInfo

from instructor_core.errors import UserError
from instructor_core.ui.feedback import boundary

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def for_programs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return an endpoint as Gradio wants it: errors as `gr.Error`, a description line by line, types alone."""

    def refuse(message: str) -> None:
        raise gr.Error(message, print_exception=False) from None

    call = boundary(refuse)(function)
    head, _, returns = (inspect.getdoc(function) or "").partition("Returns:\n")
    arguments = "".join(f"    {name}: {words}\n" for name, words in describe(function).items())
    call.__doc__ = f"{head}Args:\n{arguments}\nReturns:\n    {' '.join(returns.split())}"
    # Gradio reads the types of an answer from the signature, as they stand there: strings in this module.
    types, signature = get_type_hints(function), inspect.signature(function)
    parameters = [entry.replace(annotation=types[entry.name]) for entry in signature.parameters.values()]
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=types["return"]
    )
    return call


def check_arguments(endpoint: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Return the endpoint with its arguments checked before any work: a wrong one is refused in a sentence."""
    call = validate_call(config=ConfigDict(strict=True))(endpoint)

    @wraps(endpoint)
    def answer(*arguments: Arguments.args, **options: Arguments.kwargs) -> Answer:
        try:
            return call(*arguments, **options)
        except ValidationError as error:
            raise UserError(_refusal(endpoint, error)) from None

    return answer


def describe(endpoint: Callable[..., Any]) -> dict[str, str]:
    """Return what each argument of an endpoint is, in the words of its annotation."""
    fields = {
        name: FieldInfo.from_annotation(parameter.annotation)
        for name, parameter in inspect.signature(endpoint, eval_str=True).parameters.items()
        if name != "self"
    }
    return {name: field.description or "" for name, field in fields.items()}


def _refusal(endpoint: Callable[..., Any], error: ValidationError) -> str:
    """Name the argument, the rule, what was got, and what the argument is: its description holds all its limits."""
    found = error.errors(include_url=False)[0]
    place, *inside = found["loc"]
    name = list(inspect.signature(endpoint).parameters)[place] if isinstance(place, int) else place
    at = f", number {inside[0] + 1}" if inside and isinstance(inside[0], int) else ""
    rule = found["msg"].partition(" after validation")[0]
    described = describe(endpoint).get(name, "")
    return f"{name}{at}: {rule[0].lower()}{rule[1:]}, got {abbreviate(found['input'])}. {described}"


def abbreviate(value: object) -> str:
    """Return what was got, short: the number of what is long, the kind of what may be deep."""
    if isinstance(value, list) or (isinstance(value, str) and len(value) > 40):
        return str(len(value))
    return repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
