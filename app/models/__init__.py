"""What is stored and what is shown: tables and schemas, no I/O.

Importing the package imports each of its modules, so that ``SQLModel.metadata`` has every table.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
