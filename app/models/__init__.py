"""What is stored and what is shown: tables and schemas, no I/O.

Importing the package registers every table with ``SQLModel.metadata``: list new models here.
"""

from app.models.task import Task

__all__ = ["Task"]
