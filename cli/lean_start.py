"""A lean start: transformers is imported without what the forward pass of one recording does not need.

With everything installed, importing transformers' models takes more than twice the processor time of importing torch: it
imports torch's compiler and, for the shapes in it, SymPy; distributed tensors; SciPy and Accelerate; and it reads the
source of all its models twice, for their names. torch itself imports export, nested tensors and shapes of its operators
without data. Nothing here is needed for a right answer, and nothing is lost: a module that is used all the same is then
imported, and a load that fails is repeated with everything.
"""

import functools
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace
from typing import Any

# Optional libraries that transformers imports if it finds them.
UNUSED = ("accelerate", "jinja2", "peft", "psutil", "scipy", "sklearn")
_replaced: list[tuple[Any, str, Any]] = []  # owner, name and function of torch


@contextmanager
def lean_start() -> Iterator[None]:
    """Import transformers inside the context without what is not needed; does nothing if it is imported already.

    `UNUSED` and distributed computing stay unavailable to the process, for transformers remembers what it found.
    Garbage is not collected inside: modules and weights are none, and Python looks at them again and again.
    """
    if "transformers" in sys.modules:
        yield
        return
    collects = gc.isenabled()
    gc.disable()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait for work must not use the processor
    sys.modules |= {name: None for name in UNUSED if name not in sys.modules}
    sys.meta_path[:0] = [_Prepared(name, prepare) for name, prepare in _PREPARED.items()]
    try:
        _replace_functions()
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def load_leanly(load: Callable[[], Any]) -> Any:
    """Return the result of a function that imports transformers and loads a model, called in a lean start.

    Other versions of the libraries may need what is left out: if the function fails, it is called again with everything.

    Args:
        load: The function.
    """
    with lean_start():
        try:
            return load()
        except (AttributeError, ImportError, NotImplementedError, RuntimeError, TypeError):
            _take_back()
            return load()


def _replace_functions() -> None:
    import torch

    for owner, name, replace in (
        (torch.distributed, "is_available", lambda _: lambda: False),
        (torch, "norm_except_dim", lambda function: _without_meta(function, _norms)),
        (torch.nn.init, "normal_", lambda function: _without_meta(function, lambda tensor, *_, **__: tensor)),
        (torch, "empty_like", lambda function: _without_meta(function, _new_like)),
    ):
        if (function := getattr(owner, name, None)) is not None:
            _replaced.append((owner, name, function))
            setattr(owner, name, replace(function))


def _take_back() -> None:
    """Import the modules that were deferred, and let the others be imported again."""
    while _replaced:
        setattr(*_replaced.pop())
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Prepared)]
    for name in UNUSED:
        if name in sys.modules and sys.modules[name] is None:
            del sys.modules[name]
    for name in _PREPARED:
        getattr(sys.modules.get(name), "imported", None)  # any name imports a deferred module


class _Prepared(MetaPathFinder, Loader):
    """Finder and loader that imports one module with a function of ours.

    Args:
        name: The name of the module.
        prepare: A function of the module and of its own loader, which it may use.
    """

    def __init__(self, name: str, prepare: Callable[[ModuleType, Loader], None]):
        self.name, self.prepare = name, prepare

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec of the module with this loader."""
        spec = PathFinder.find_spec(name, path) if name == self.name else None
        if spec is not None:
            self.loader, spec.loader = spec.loader, self
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module."""
        self.prepare(module, self.loader)


def _defer(**stand_ins: Any) -> Callable[[ModuleType, Loader], None]:
    """Return a function that delays the import of a module until it is used for something else than the `stand_ins`."""

    def prepare(module: ModuleType, loader: Loader) -> None:
        def __getattr__(name: str) -> Any:  # noqa: N807
            if name.startswith("__"):
                raise AttributeError(name)
            del module.__getattr__
            loader.exec_module(module)
            return getattr(module, name)

        vars(module).update(stand_ins, __getattr__=__getattr__)

    return prepare


def _scan_once(module: ModuleType, loader: Loader) -> None:
    """Let transformers look for the names of its models once, and only where a file lists them."""
    loader.exec_module(module)
    scan, list_names = (getattr(module, name, None) for name in ("create_import_structure_from_path", "fetch__all__"))
    if hasattr(scan, "__wrapped__"):  # its cache is smaller than the number of models
        module.create_import_structure_from_path = functools.cache(scan.__wrapped__)
    if list_names is not None:
        module.fetch__all__ = lambda text: list_names(text[max(0, text.rfind("\n__all__")) :].lstrip("\n"))


def _compile_late(module: ModuleType, loader: Loader) -> None:
    """Let a module compile a regular expression when it is first used."""
    loader.exec_module(module)
    if getattr(module, "re", None) is re:
        module.re = SimpleNamespace(**vars(re) | {"compile": _LatePattern})


class _LatePattern:
    """A regular expression that is compiled when it is first used.

    Args:
        *arguments: As of `re.compile`.
    """

    def __init__(self, *arguments: Any):
        self._arguments = arguments

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(re.compile(*self._arguments), name)


def _unmarked(function: Callable | None = None, *args: Any, **kwargs: Any) -> Callable:
    """Return a function as it is, or such a decorator: the marks of torch's compiler mean nothing without it."""
    return _unmarked if function is None else function


def _without_meta(function: Callable, result: Callable) -> Callable:
    """Return a function of a tensor with a shortcut for one without memory, for which torch would import SymPy.

    Args:
        function: The function.
        result: A function of the same arguments that returns its result for such a tensor.
    """

    def call(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        return (result if tensor.is_meta else function)(tensor, *args, **kwargs)

    return call


def _norms(weight: Any, power: int, dim: int) -> Any:
    """Return a tensor of the shape that `torch.norm_except_dim` gives."""
    return weight.new_empty([size if axis == dim else 1 for axis, size in enumerate(weight.shape)])


def _new_like(tensor: Any, **options: Any) -> Any:
    return tensor.new_empty(tensor.shape, **options)


def _as_bool(value: Any, *_: Any) -> bool:
    return bool(value)


_PREPARED = {
    "torch._meta_registrations": _defer(),  # loading needs none of those that are written in Python
    "torch.export": _defer(),
    "torch.nested": _defer(),
    "torch._dynamo": _defer(allow_in_graph=_unmarked, assume_constant_result=_unmarked, disable=_unmarked),
    # What it returns for a bool, where no shape is a symbol.
    "torch.fx.experimental.symbolic_shapes": _defer(expect_true=_as_bool),
    "transformers.core_model_loading": _compile_late,  # a thousand former names of weights, of all models
    "transformers.utils.import_utils": _scan_once,
}
