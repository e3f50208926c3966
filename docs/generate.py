"""Write docs/reference/ and docs/schema/ from the code, so that they cannot go stale.

python docs/generate.py           writes the files
python docs/generate.py --check   exits 1 when a file differs from what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from pages.command_line import cli_page
from pages.defaults import defaults_page
from pages.definition import definition_page
from pages.errors import errors_page
from pages.operators import operators_page
from pages.package import catalogue_page, schema_copy
from pages.testing import testing_page

FOLDER = Path(__file__).parent
PAGES: Mapping[str, Callable[[], str]] = {
    "reference/definition.md": definition_page,
    "reference/defaults.md": defaults_page,
    "reference/operators.md": operators_page,
    "reference/command-line.md": cli_page,
    "reference/errors.md": errors_page,
    "reference/catalogue.md": catalogue_page,
    "reference/testing.md": testing_page,
    "schema/asyncjob.schema.json": schema_copy,
}


def main() -> int:
    """Write the files, or compare them."""
    stale = []
    for name, page in PAGES.items():
        path, text = FOLDER / name, page()
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(name)
    for name in stale:
        print(f"docs/{name} is not what the code says; run: python docs/generate.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
