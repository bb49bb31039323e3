"""How a number is written for a reader, everywhere: a real minus sign, no sign at zero, the right plural."""

from __future__ import annotations


def number(value: float, digits: int = 3) -> str:
    """The value with so many decimals and a real minus sign; zero has none."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def share(value: float) -> str:
    """A share with two decimals and no zero before them: ".21", "1.00"."""
    return number(value, 2).removeprefix("0")


def signed(value: float, digits: int = 3) -> str:
    """As `number`, with a plus sign above zero."""
    text = number(value, digits)
    return f"+{text}" if float(text.replace("−", "-")) > 0 else text


def span(low: float, high: float) -> str:
    """Two values in words: "from 0.12 to 0.80"."""
    return f"from {number(low, 2)} to {number(high, 2)}"


def counted(n: int, noun: str) -> str:
    """The number and the noun, in the plural unless it is one."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
