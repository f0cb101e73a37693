"""`PALAVER_LORA`: which LoRA files a model is loaded with, and how strongly each counts."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


@dataclass(frozen=True, kw_only=True, slots=True)
class Lora:
    """A LoRA file; what it adds to the weights is multiplied by `scale`."""

    path: Path
    scale: float = 1.0


def _parsed(value: object) -> object:
    """`file[:scale],…` as a tuple."""
    if isinstance(value, str):
        return tuple(_lora(part.strip()) for part in value.split(",") if part.strip())
    return value


def _lora(text: str) -> Lora:
    path, colon, scale = text.rpartition(":")
    if not colon:
        return Lora(path=Path(text))
    try:
        number = float(scale)
    except ValueError:
        number = math.nan
    if not path or not math.isfinite(number):
        raise ValueError(f"{text!r}: allowed are a file, or a file, a colon and its scale")
    return Lora(path=Path(path), scale=number)


Loras = Annotated[tuple[Lora, ...], NoDecode, BeforeValidator(_parsed)]
