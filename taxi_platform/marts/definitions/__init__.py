"""The marts. Every module in this package is loaded automatically, and defines one as ``MART``."""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from taxi_platform.marts.mart import Mart

MARTS: Mapping[str, Mart] = MappingProxyType(
    {
        mart.name: mart
        for mart in (
            import_module(f"{__name__}.{module.name}").MART
            for module in pkgutil.iter_modules(__path__)
        )
    }
)
"""Every mart, by name."""
