"""Whether an answer is what an OpenAPI document says: the part of JSON Schema that our document uses, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
STRUCTURE = {"$ref", "anyOf", "type", "enum", "const", "properties", "required", "additionalProperties"}
ARRAYS = {"items", "prefixItems", "minItems", "maxItems"}
WORDS = {"title", "description", "default", "example", "examples", "format"}
KNOWN = STRUCTURE | ARRAYS | WORDS


class Document:
    """An OpenAPI document and the schemas that it refers to."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def faults(self, value: Any, schema: Schema, at: str = "answer") -> list[str]:
        """Everything in which `value` is not what `schema` says; empty if it is."""
        return list(self._faults(value, schema, at))

    def differing_keys(self, value: Any, example: Any, schema: Schema, at: str = "answer") -> list[str]:
        """Where an object of `schema` has other keys than the example's; maps with free keys are left out."""
        schema = self.resolved(schema, value)
        found = []
        if isinstance(value, dict) and isinstance(example, dict) and "properties" in schema:
            found += [f"{at}.{name}" for name in sorted(value.keys() ^ example.keys())]
            for name in value.keys() & example.keys() & schema["properties"].keys():
                part = schema["properties"][name]
                found += self.differing_keys(value[name], example[name], part, f"{at}.{name}")
        elif isinstance(value, list) and isinstance(example, list) and value and example:
            found += self.differing_keys(value[0], example[0], schema.get("items", {}), f"{at}[0]")
        return found

    def resolved(self, schema: Schema, value: Any) -> Schema:
        """Without a reference, and of several alternatives the one that `value` is."""
        while "$ref" in schema:
            schema = self.content["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        if "anyOf" in schema:
            fitting = [one for one in schema["anyOf"] if not self.faults(value, one)]
            return self.resolved(fitting[0], value) if fitting else {}
        return schema

    def _faults(self, value: Any, schema: Schema, at: str) -> Iterator[str]:
        assert set(schema) <= KNOWN, f"{at}: {set(schema) - KNOWN} must be learnt first"
        if "$ref" in schema:
            yield from self._faults(value, self.resolved(schema, value), at)
        elif "anyOf" in schema:
            if all(self.faults(value, one, at) for one in schema["anyOf"]):
                yield f"{at}: {value!r:.80} is none of the alternatives"
        elif not self._is(value, schema):
            yield f"{at}: {value!r:.80} is no {schema.get('type') or schema}"
        elif isinstance(value, dict):
            yield from self._in_object(value, schema, at)
        elif isinstance(value, list):
            yield from self._in_array(value, schema, at)

    def _is(self, value: Any, schema: Schema) -> bool:
        kinds = TYPES.get(schema.get("type", ""), (object,))
        if isinstance(value, bool) and int in kinds:
            return False
        return isinstance(value, kinds) and value in schema.get("enum", [value]) and value == schema.get("const", value)

    def _in_object(self, value: dict[str, Any], schema: Schema, at: str) -> Iterator[str]:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        yield from (f"{at}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, part in value.items():
            if name in properties or isinstance(others, dict):
                yield from self._faults(part, properties.get(name, others), f"{at}.{name}")
            elif not others or properties:
                yield f"{at}.{name} is not in the document"

    def _in_array(self, value: list[Any], schema: Schema, at: str) -> Iterator[str]:
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{at} has {len(value)} items"
        parts = schema.get("prefixItems") or [schema.get("items", {})] * len(value)
        for number, (part, said) in enumerate(zip(value, parts, strict=False)):
            yield from self._faults(part, said, f"{at}[{number}]")
