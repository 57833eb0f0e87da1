"""Classes that only the arguments of a call need: the reader has to have them, so they join the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clustrix.errors import SerializationError
from clustrix.file_packaging import PackageInfo, package_function_for_execution
from clustrix.local_modules import is_standard_library, locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["package_with_classes"]


def package_with_classes(
    function: Callable[..., Any],
    config: Any,
    package: PackageInfo,
    classes: Iterable[type],
    include: Iterable[str] = (),
) -> PackageInfo:
    """The function's ``package`` with ``classes``, and what they need; itself where it has all of that.

    :raises PackagingError: a class can't be packed
    :raises SerializationError: a class of a script can't go where the function goes
    """
    lacking = [cls for cls in classes if not _has(package, cls)]
    if not lacking:
        return package
    more = package_function_for_execution(function, config, classes=lacking, include=include)
    for cls in lacking:
        if cls.__module__ == "__main__" and not _has(more, cls):
            raise SerializationError(
                f"the arguments hold a {cls.__qualname__} of {cls.__module__}, and {package.function_name} is not "
                "packed as a part of that script: put the class into a module, or call the function from one of the script"
            )
    return more


def _has(package: PackageInfo, cls: type) -> bool:
    """Whether the job has the class: of the standard library, of a library that the function imports, or in the package."""
    packed, module = package.metadata["execution_info"], cls.__module__
    if module == "__main__":
        return cls.__qualname__.partition(".")[0] in packed["definition_order"]
    if is_standard_library(module) or module.partition(".")[0] == "clustrix" or module in packed["modules"]:
        return True
    top = module.partition(".")[0]
    is_imported = any(name.partition(".")[0] == top for name in package.dependencies.modules.external)
    return is_imported and locate(module) is None
