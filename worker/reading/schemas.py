"""Puts the schemas of tools into a larger one."""

from typing import Any, Final

_KEYWORDS: Final = ("$defs", "definitions")
_ROOT: Final = "root"


def lifted(schema: dict[str, Any], name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema that may stand anywhere in another one, as its references no longer begin at itself.

    Args:
        schema: of a tool's arguments.
        name: of the tool; tells its definitions from those of others.
        definitions: where those that it refers to are added; they belong at the root, as `$defs`.
    """
    targets = {
        f"#/{keyword}/{key}": (f"{name}.{keyword}.{key}", value)
        for keyword in _KEYWORDS
        for key, value in schema.get(keyword, {}).items()
    }
    body = {key: value for key, value in schema.items() if key not in _KEYWORDS}
    targets["#"] = (f"{name}.{_ROOT}", body)
    renamed = {reference: f"#/$defs/{key}" for reference, (key, _) in targets.items()}
    if _refers(schema, "#"):
        definitions[targets["#"][0]] = _renamed(body, renamed)
    for reference, (key, value) in targets.items():
        if reference != "#":
            definitions[key] = _renamed(value, renamed)
    moved = _renamed(body, renamed)
    return moved if isinstance(moved, dict) else {}


def _renamed(node: Any, renamed: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_renamed(item, renamed) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: renamed.get(value, value)
        if key == "$ref" and isinstance(value, str)
        else _renamed(value, renamed)
        for key, value in node.items()
    }


def _refers(node: Any, reference: str) -> bool:
    if isinstance(node, list):
        return any(_refers(item, reference) for item in node)
    if not isinstance(node, dict):
        return False
    return node.get("$ref") == reference or any(_refers(v, reference) for v in node.values())
