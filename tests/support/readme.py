"""The READMEs, and what is in them."""

import re

from tests.support.repository import ROOT

FILES = ["README.md", "app/api/README.md", "tests/README.md", "migrations/README.md"]
README = "".join((ROOT / file).read_text(encoding="utf-8") for file in FILES)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """The text under a heading."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(title: str) -> list[tuple[str, str]]:
    """The code blocks under a heading: language and text."""
    return BLOCK.findall(section(title))


def block(title: str, language: str) -> str:
    """The only code block in a language under a heading."""
    (text,) = [text for name, text in blocks(title) if name == language]
    return text


def files(title: str) -> dict[str, str]:
    """The files that a section writes: path and text."""
    paths = re.findall(r"(?:is|are) in\s`((?:app|tests)/[\w/.]+)`:\n", section(title))
    texts = [text for language, text in blocks(title) if language == "python"]
    return dict(zip(paths, texts, strict=True))
