#!/usr/bin/env python3
"""quote.py [--check]: put what the documents quote into them, from the files that are compiled, between
`<!-- code: FILE -->` (or FILE#FUNCTION) and `<!-- end of code -->`. --check: exit 1 when a document shows another code."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
QUOTE = re.compile(r"(<!-- code: (\S+) -->\n).*?(<!-- end of code -->)", re.S)


def quoted(match):
    file, _, function = match[2].partition("#")
    code = (ROOT / file).read_text()
    if function:
        code = re.search(rf"^[^\n]*\b{function}\(.*?^\}}\n", code, re.S | re.M)[0]
    kind = {".c": "c", ".h": "c", ".py": "python"}.get(pathlib.Path(file).suffix, "")
    return f"{match[1]}```{kind}\n{code}```\n{match[3]}"


stale = []
for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
    text = document.read_text()
    fresh = QUOTE.sub(quoted, text)
    if fresh != text:
        stale.append(document.relative_to(ROOT))
        if "--check" not in sys.argv:
            document.write_text(fresh)
print("\n".join(f"quote: {name} shows another code than its file: make docs" for name in stale if "--check" in sys.argv), end="")
sys.exit(1 if stale and "--check" in sys.argv else 0)
