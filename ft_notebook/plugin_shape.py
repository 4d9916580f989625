"""Whether an object that a plugin brought keeps its protocol, and in words what it lacks.

Called by `plugins.py` only. The protocols of `hooks.py` are the one description of the shapes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}")
_RESERVED = {"auto"}


def fault_of(thing: object, protocol: type) -> str | None:
    """What keeps `thing` from being used, as the end of a sentence that starts "it returned"; or None."""
    if inspect.isclass(thing):
        return f"the class {thing.__name__}; return an object, `{thing.__name__}()`."
    for name, annotation in _attributes(protocol).items():
        if (fault := _attribute_fault(thing, name, annotation)) is not None:
            return f"{describe(thing)}, which {fault}; see {protocol.__name__} in ft_notebook.hooks."
    for name, shape in _methods(protocol).items():
        if (fault := _method_fault(thing, name, shape)) is not None:
            return f"{describe(thing)}, which {fault}; see {protocol.__name__} in ft_notebook.hooks."
    return None


def describe(thing: object) -> str:
    """`a Metric object`, for messages; never the object's own text, which may be anything."""
    return "None" if thing is None else f"an object of type {type(thing).__name__}"


def _attributes(protocol: type) -> dict[str, str]:
    """Attribute to annotation as it is written in the protocol."""
    return {name: str(annotation) for name, annotation in inspect.get_annotations(protocol).items()
            if not name.startswith("_")}


def _methods(protocol: type) -> dict[str, inspect.Signature]:
    return {name: inspect.signature(member) for name, member in vars(protocol).items()
            if inspect.isfunction(member) and not name.startswith("_")}


def _attribute_fault(thing: object, name: str, annotation: str) -> str | None:
    if not hasattr(thing, name):
        return f"has no `{name}`"
    value = getattr(thing, name)
    if name == "name":
        is_name = isinstance(value, str) and _NAME.fullmatch(value) and value not in _RESERVED
        return None if is_name else (
            "has no usable `name`: one word of letters, digits and `_ . : + -`, at most 64 long, and not `auto`")
    if annotation == "bool" and not isinstance(value, bool):
        return f"has a `{name}` that is not true or false"
    if annotation.startswith("Sequence") and (isinstance(value, str) or not isinstance(value, Sequence)):
        return f"has a `{name}` that is not a list"
    return None


def _method_fault(thing: object, name: str, shape: inspect.Signature) -> str | None:
    member = getattr(thing, name, None)
    if not callable(member):
        return f"has no method `{name}`"
    wanted = [parameter for parameter in shape.parameters.values() if parameter.name != "self"]
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in wanted):
        return None     # what it is called with is not the protocol's to say
    positional = [None for parameter in wanted if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    named = {parameter.name: None for parameter in wanted if parameter.kind is inspect.Parameter.KEYWORD_ONLY}
    try:
        inspect.signature(member).bind(*positional, **named)
    except TypeError:
        call = ", ".join(f"{parameter.name}=..." if parameter.name in named else parameter.name for parameter in wanted)
        return f"cannot be called as `{name}({call})`"
    except ValueError:  # a method written in C, without a signature to look at
        return None
    return None
