"""Public names of the package: each has a docstring with what a caller must know. The site is made of them."""

import ast
import dataclasses
import inspect
import re
import textwrap

import pytest
from website.public_names import find_members, find_public_names, is_ours

PUBLIC = {path: value for path, value in find_public_names().items() if callable(value)}
CLASSES = {value for value in PUBLIC.values() if inspect.isclass(value)}
# Of every model: its configuration, and the encoders of `from_encoders_pretrained`.
KNOWN = {"config", "encoders"}


def find_functions():
    """(name, function, docstring) of public functions, constructors and methods that override none."""
    for path, value in PUBLIC.items():
        if value not in CLASSES:
            yield path, value, inspect.getdoc(value)
            continue
        if "__init__" in vars(value) and not dataclasses.is_dataclass(value):
            yield path, value.__init__, inspect.getdoc(value)
        for name in find_members(value, CLASSES):
            defined = [vars(base)[name] for base in value.__mro__ if name in vars(base)]
            function = inspect.unwrap(getattr(defined[0], "__func__", defined[0]))
            if len(defined) == 1 and inspect.isfunction(function):
                yield f"{path}.{name}", function, inspect.getdoc(function)


def own_nodes(tree):
    """The nodes of a function, without those of functions inside it."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield node
            yield from own_nodes(node)


def raises(function) -> bool:
    """Whether a function has a `raise` of an error."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    raised = (node.exc for node in own_nodes(tree) if isinstance(node, ast.Raise) and node.exc)
    return any("NotImplementedError" not in ast.unparse(error) for error in raised)


def mentions(docstring, parameter) -> bool:
    return bool(
        re.search(rf"`{parameter}`|^ +(?:.*, )?\*{{0,2}}{parameter}(?:, .*)?(?: \(.*\))?:", docstring, re.MULTILINE)
    )


def test_every_public_name_has_a_docstring():
    # A module has hidden a name where a room exports a name that one of its files has.
    assert not [path for path, value in find_public_names().items() if inspect.ismodule(value)]
    assert not [path for path, value in PUBLIC.items() if not inspect.getdoc(value)]


def test_docstrings_describe_arguments_results_and_errors():
    problems = []
    for path, function, docstring in find_functions():
        signature = inspect.signature(function)
        parameters = [
            parameter.name
            for parameter in list(signature.parameters.values())
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        for name in parameters:
            if name not in {"self", "cls", *KNOWN} and not mentions(docstring, name):
                problems.append(f"{path}: {name} is not described")
        if raises(function) and "Raises:" not in docstring:
            problems.append(f"{path}: no section Raises")
        returns = signature.return_annotation not in (None, "None", inspect.Signature.empty)
        if returns and not re.search(
            r"\A(?:Return|Yield|Build|Load|Read|Train)\b|\breturn (?:the|its)\b|^(?:Returns|Yields):",
            docstring,
            re.MULTILINE,
        ):
            problems.append(f"{path}: the result is not described")
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_fields_of_public_dataclasses_are_described():
    problems = []
    for path, value in PUBLIC.items():
        if value not in CLASSES or not dataclasses.is_dataclass(value):
            continue
        docstrings = " \n".join(inspect.getdoc(base) or "" for base in value.__mro__ if is_ours(base))
        theirs = {
            name for base in value.__mro__ if not is_ours(base) for name in vars(base).get("__annotations__", ())
        }
        problems += [
            f"{path}.{field.name}"
            for field in dataclasses.fields(value)
            if field.init
            and field.name not in theirs
            and "help" not in field.metadata
            and not mentions(docstrings, field.name)
        ]
    assert not problems
