"""What the site needs beyond the files of docs/: a hook of mkdocs (https://www.mkdocs.org/user-guide/configuration/#hooks).

The pages are written for two readers, the repository's and the site's. Some of the repository's pages lie outside of
docs/, and join it here; links to other files of the repository become their names, since the site has no such files.
The guides name a file behind the language of its block, which becomes the block's title.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

#: Pages of the site that are other files of the repository.
ELSEWHERE = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "measured.md": "benchmarks/README.md",
}

_LINK = re.compile(r"\[(?P<text>[^\[\]]+)\]\((?P<path>[^)#\s:]*)(?P<anchor>#[^)\s]*)?\)")
_TITLED = re.compile(r"^(?P<fence>```\w+) (?P<path>\S+)$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere in the repository."""
    for page, source in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn a page of the repository into one of the site."""
    return titled(linked(markdown, page.file.src_uri))


def titled(markdown: str) -> str:
    """Give the blocks that show a file its name as their title."""
    return _TITLED.sub(r'\g<fence> title="\g<path>"', markdown)


def linked(markdown: str, page: str) -> str:
    """Let the links of ``page``, named as in docs/, lead to pages of the site, or nowhere."""
    source = PurePosixPath(ELSEWHERE.get(page, f"docs/{page}"))
    return _LINK.sub(lambda link: _link(link, source, PurePosixPath(page)), markdown)


def _link(link: re.Match[str], source: PurePosixPath, page: PurePosixPath) -> str:
    if not link["path"]:
        return link[0]
    target = os.path.normpath(source.parent / link["path"])
    if not (ROOT / target).exists():
        return link[0]  # mkdocs tells of it
    on_site = _page_of(target)
    if on_site is None:
        return link["text"]
    return f"[{link['text']}]({os.path.relpath(on_site, page.parent)}{link['anchor'] or ''})"


def _page_of(target: str) -> str | None:
    """The page of the site that shows a file of the repository; the README is its first page."""
    elsewhere = {source: page for page, source in ELSEWHERE.items()} | {"README.md": "index.md"}
    if target in elsewhere:
        return elsewhere[target]
    return target.removeprefix("docs/") if target.startswith("docs/") else None
