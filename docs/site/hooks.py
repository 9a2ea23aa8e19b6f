"""What mkdocs asks while it builds the site: the front page from README.md, and the reference pages from the code."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

import reference  # noqa: E402 - beside this file, which is no package


def on_files(files: Files, config: Any) -> Files:
    """Pages that are written by nobody."""
    repository = config["repo_url"].rstrip("/")
    pages = {"index.md": front(repository), "changelog.md": linked((ROOT / "CHANGELOG.md").read_text(), repository)}
    pages |= {f"reference/{name}.md": text for name, text in reference.pages().items()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def front(repository: str) -> str:
    """The README as the first page: what it links to in docs/ is a page here, the rest is in the repository."""
    return linked((ROOT / "README.md").read_text(), repository)


def linked(text: str, repository: str) -> str:
    def moved(match: re.Match[str]) -> str:
        target = match[1]
        if target.startswith(("http", "#", "mailto:")):
            return match[0]
        if target.startswith("docs/"):
            return f"]({target.removeprefix('docs/')})"
        return f"]({repository}/blob/main/{target})"

    return re.sub(r"\]\(([^)\s]+)\)", moved, text)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What is folded is Markdown too: a repository's page shows it as that, and this generator if it is asked to."""
    return markdown.replace("<details>\n", "<details markdown>\n")
