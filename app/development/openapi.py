"""The OpenAPI document as a file: ``python -m app.development.openapi [--check]``."""

import json
import sys
from pathlib import Path

from app.config import Settings
from app.main import create_app

FILE = Path("openapi.json")


def main() -> None:
    """Write the document, or check that it is up to date."""
    # The settings of the environment have no say in it.
    document = create_app(Settings.model_construct()).openapi()
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv:
        FILE.write_text(text, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
        sys.exit(f"{FILE} is not up to date with the code: run `just openapi` and commit it")


if __name__ == "__main__":
    main()
