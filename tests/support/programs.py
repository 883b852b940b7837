"""Programs that the suite uses if they are installed."""

import os
import shutil
from glob import glob

import pytest

# Debian keeps these out of a user's PATH.
_FOLDERS = ["/usr/sbin", *sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True)]  # noqa: PTH207


def program(*names: str, package: str) -> str:
    """Return the path of the first of these programs that is installed.

    Without any the test is skipped with this reason or, where CI is set, it fails.
    """
    path = os.pathsep.join([os.environ["PATH"], *_FOLDERS])
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    reason = f"there is no {names[0]}: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
