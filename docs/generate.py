"""Write docs/reference/ and docs/schema/ from the code, so that they cannot go stale.

python docs/generate.py           writes the files
python docs/generate.py --check   exits 1 when a file differs from what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from pages.catalogue import CATALOGUE_PAGES
from pages.command_line import cli_page
from pages.defaults import defaults_page
from pages.definition import definition_page
from pages.errors import errors_page
from pages.operators import operators_page
from pages.package import schema_copy
from pages.testing import how_to_page, testing_page

FOLDER = Path(__file__).parent
PAGES: Mapping[str, Callable[[], str]] = {
    "reference/definition.md": definition_page,
    "reference/defaults.md": defaults_page,
    "reference/operators.md": operators_page,
    "reference/command-line.md": cli_page,
    "reference/errors.md": errors_page,
    **CATALOGUE_PAGES,
    "reference/testing.md": testing_page,
    "how-to/test-your-dag.md": how_to_page,
    "schema/asyncjob.schema.json": schema_copy,
}


def main() -> int:
    """Write the files and remove what is no longer generated, or say which differ."""
    pages = {FOLDER / name: page() for name, page in PAGES.items()}
    gone = sorted(set((FOLDER / "reference").rglob("*.md")) - set(pages))
    if "--check" in sys.argv:
        differ = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
        for path in [*differ, *gone]:
            print(f"docs/{path.relative_to(FOLDER)} is not what the code says; run: python docs/generate.py")
        return 1 if differ or gone else 0
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in gone:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
