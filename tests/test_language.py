"""Package and pages use the field's words: private ones of earlier versions stay out."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("skae/**/*.py")),
    *sorted(ROOT.glob("docs/*.md")),
    ROOT / "docs" / "api.rst",
    *sorted(ROOT.glob("docs/gallery/*.py")),
]
# By what to write instead.
REPLACED = {
    "sample": r"\brows?\b(?! of (a DataFrame|the table))",
    # Columns are those of a DataFrame, of y, or of a grid of panels.
    "feature": r"(?<![.,(] )(?<![.(])\bcolumns?\b(?!=|\"| names| of y| in range|\)\])",
    "validation set, held-out samples": r"\b(put|held|left) (aside|by)\b",
    "corrupt": r"\bspoil\w*|\bspoilt\b",
    "denoise, reconstruct": r"\bmend\w*",
    "anomaly, outlier": r"\bodd(ness|er|est|ly)?\b",
    "inlier, normal sample": r"\busual rows?\b",
    "is given, contains, predicts": r"\b(is|are|was|were|be) told\b|\btells?\b|\bknows\b",
    "code indices (tokens), code vectors": r"\bwords?\b(?! (of|in) TERMS)",
    "codebook": r"\b(code )?books?\b",
    "initial weights": r"\bstep 0\b|\bstarts? as PCA\b",
    "training range": r"\bbox(es)?\b|\buncover\w*|\bsettl\w+",
    "zero-initialise": r"\bsilence[ds]?\b",
    "learning-rate scale": r"\bpace\b",
    "validation check": r"\blooks? at the (rows|validation)\b|\bwatch(es|ed)?\b",
    "validate": r"\bjudg\w+",
    "member outputs": r"\bmember.? views?\b",
    "clusteredness": r"\bcrowd(ing|ed)?\b|\bcaution\b",
    "negative log-likelihood": r"\bunlikelihood\b",
    "vjp, jvp, Jacobian": r"\b(pull|push)(s|ed|es|ing)?\b|(?-i:\bSensitive|\bBent)",
    "store, resume": r"\badopt\w*|\bgoes on\b|\bgo on\b",
    "incrementally, online": r"\b(learns? )?in parts\b|\bstream(s|ing)?\b",
    "overfitting": r"\bby heart\b",
    "random pairs": r"\bstrangers?\b",
    "common misconceptions": r"\barticles? err\b",
}


@pytest.mark.parametrize("instead", REPLACED)
def test_replaced_words_stay_out(instead):
    pattern = re.compile(REPLACED[instead], re.I)
    found = {}
    for path in FILES:
        name = str(path.relative_to(ROOT))
        lines = [n for n in path.read_text().splitlines() if pattern.search(n)]
        if lines:
            found[name] = lines

    assert not found, f"write {instead!r} in {found}"
