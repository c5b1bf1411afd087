"""What a call to fetch weights asks for, by names alone: no path, address or repository ever comes from a client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wan22.api.wording import nearest_word, unknown
from wan22.errors import FieldError, InvalidRequest
from wan22.models.specs import OFFICIAL
from wan22.models.weights import Weights
from wan22.tasks import ModelType

KNOWN = ("model_type", "variant", "source")


@dataclass(frozen=True)
class Wanted:
    """What a download call asks for."""

    model_type: ModelType
    variant: str = OFFICIAL
    source: str | None = None


def asked_for(weights: Weights, fields: Mapping[str, Any]) -> Wanted:
    """What a download call asks for. Raises InvalidRequest with one entry for each wrong field."""
    wrong = [unknown(name, fields[name], known=KNOWN, nearest=nearest_word(name, KNOWN)) for name in _strange(fields)]
    variant, source = _name(fields.get("variant")), _name(fields.get("source"))
    variant = OFFICIAL if variant is None else variant
    name = fields.get("model_type")
    try:
        model_type = ModelType(name)
    except ValueError:
        raise InvalidRequest([*wrong, _no_model(name)]) from None
    if wrong := [*wrong, *weights.faults(model_type, variant, source)]:
        raise InvalidRequest(wrong)
    return Wanted(model_type, variant, source)


def _strange(fields: Mapping[str, Any]) -> list[str]:
    return [name for name in list(fields)[:50] if name not in KNOWN]


def _name(value: Any) -> str | None:
    """What was sent in the place of a name; whatever is no text is none that is known."""
    return value.strip().lower() if isinstance(value, str) else None if value is None else repr(value)


def _no_model(name: Any) -> FieldError:
    names = [model_type.value for model_type in ModelType]
    if name is None:
        return FieldError("model_type", f"is missing: send one of {', '.join(names[:-1])} or {names[-1]}", None)
    nearest = nearest_word(name, names) if isinstance(name, str) else None
    asked = f"; did you mean {nearest}?" if nearest else ""
    return FieldError("model_type", f"must be one of {', '.join(names[:-1])} or {names[-1]}{asked}", name)
