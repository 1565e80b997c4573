"""What the pages show runs as it stands there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/discrete.md",
        "docs/displays.md",
        "docs/outliers.md",
        "docs/regularised.md",
        "docs/variational.md",
    ],
)
def test_code_on_the_page_runs(page):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.S)
    namespace = {}

    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)
