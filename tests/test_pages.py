"""What the pages show runs as it stands there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


# Pages whose code is no whole: pieces of files that a reader is to write.
PIECES = {"docs/variants.md"}
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md")))]
WITH_CODE = [p for p in PAGES if "```python" in (ROOT / p).read_text()]


@pytest.mark.parametrize("page", sorted({*WITH_CODE} - PIECES))
def test_code_on_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)
    namespace = {}

    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)
