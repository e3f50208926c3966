"""The catalogue: definitions by name, those that ship with this package and those of other packages.

Another package adds a folder of definitions by an entry point of the group :data:`GROUP`, whose value is a
package, or a module inside of one::

    [project.entry-points."airflow_asyncjob.catalogue"]
    acme = "acme_jobs.catalogue"

``orders/export.yaml`` in the folder of ``acme_jobs.catalogue`` is then the definition ``orders/export``. The
package that holds the entry point's module is imported, the module itself is not. What holds for names:

- A definition that ships here is found first: no package that is installed changes what its name means.
- A name that two other packages have is an error when it is asked for: whichever was meant, half of the
  readers would be wrong.
- An entry point that does not work hides nothing of another one. It is a :class:`CatalogueWarning` when the
  name is found elsewhere, and is part of the error when it is not.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_asyncjob.definition.problems import shown
from airflow_asyncjob.errors import DefinitionError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "GROUP",
    "Catalogue",
    "CatalogueWarning",
    "Entry",
    "find_entry",
    "packaged_names",
    "read_catalogue",
]

GROUP = "airflow_asyncjob.catalogue"
"""Name of the group of entry points."""
SHIPPED = "airflow-asyncjob"
"""Where the definitions of this package are said to come from."""
NAME = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_SHOWN_NAMES = 30


class CatalogueWarning(UserWarning):
    """A package adds definitions to the catalogue in a way that does not work, or that hides one."""


@dataclass(frozen=True)
class Entry:
    """One definition of the catalogue.

    :param name: by which it is loaded, such as ``sendgrid/contacts_export``.
    :param file: its YAML.
    :param origin: distribution that it comes from, with the version where it has one: ``acme-jobs 1.2``.
    """

    name: str
    file: Traversable
    origin: str


@dataclass
class Catalogue:
    """All that can be loaded by name.

    :param entries: by name; of a name that two packages have, no entry.
    :param clashes: name: the origins that have it, where none is chosen.
    :param broken: for people: entry points that do not work.
    :param unused: for people: files that are not loaded, since their name is not a name, or ships.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    clashes: dict[str, list[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        """All that is wrong, for people."""
        clashes = [_clash(name, origins) for name, origins in sorted(self.clashes.items())]
        return [*self.broken, *clashes, *self.unused]


def packaged_names() -> list[str]:
    """Return the names of the definitions that ship with this package, sorted."""
    return sorted(name for name, _ in _definitions(_shipped()))


def find_entry(name: str) -> Entry:
    """Return the definition of a name. Entry points are looked at only for a name that does not ship.

    :raises DefinitionError: there is no such name, or more than one package has it.
    """
    if NAME.fullmatch(name):
        file = _shipped().joinpath(*f"{name}.yaml".split("/"))
        if file.is_file():
            return Entry(name, file, SHIPPED)
    catalogue = read_catalogue()
    if name in catalogue.clashes:
        raise DefinitionError(_clash(name, catalogue.clashes[name]))
    if name not in catalogue.entries:
        raise DefinitionError(_unknown(name, catalogue))
    for message in catalogue.broken:
        warnings.warn(message, CatalogueWarning, stacklevel=2)
    return catalogue.entries[name]


def read_catalogue() -> Catalogue:
    """Return everything that can be loaded by name; what is wrong with a package is told in it."""
    found = Catalogue({name: Entry(name, file, SHIPPED) for name, file in _definitions(_shipped())})
    for point in _entry_points():
        origin = _origin(point)
        try:
            folders = _folders_of(point.value)
            entries = [Entry(name, file, origin) for each in folders for name, file in _definitions(each)]
            if not entries:
                raise ValueError(f"{' and '.join(map(str, folders))} holds no NAME.yaml")
        except Exception as error:  # whatever the other package does when it is imported
            found.broken.append(_broken(point, origin, error))
            continue
        for entry in entries:
            _add(found, entry)
    return found


def _add(found: Catalogue, entry: Entry) -> None:
    known = found.entries.get(entry.name)
    if not NAME.fullmatch(entry.name):
        found.unused.append(
            f"{entry.file} of {entry.origin} is not loaded: a name has letters, digits, - and _, and a "
            f"/ between its parts, not {shown(entry.name)}; rename the file"
        )
    elif entry.name in found.clashes:
        found.clashes[entry.name].append(entry.origin)
    elif known is None:
        found.entries[entry.name] = entry
    elif known.origin == SHIPPED:
        found.unused.append(
            f"the definition {entry.name} of {entry.origin} is not loaded: one that ships with {SHIPPED} has "
            "the same name; rename the file, such as with the company's name in front"
        )
    elif str(known.file) != str(entry.file):  # two entry points may name the same folder
        del found.entries[entry.name]
        found.clashes[entry.name] = [known.origin, entry.origin]


# Where they lie -----------------------------------------------------------------------------------------


def _shipped() -> Traversable:
    return resources.files("airflow_asyncjob").joinpath("catalogue")


def _entry_points() -> list[EntryPoint]:
    """Return the entry points, in an order that does not depend on that of the installation."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda point: (_origin(point), point.name))


def _origin(point: EntryPoint) -> str:
    return (
        f"{point.dist.name} {point.dist.version}" if point.dist is not None else f"entry point {point.name}"
    )


def _folders_of(value: str) -> list[Path]:
    """Return the folder of a package (of a namespace: its folders), or of a module inside of one.

    :raises ValueError: it is something else, or there is no such module.
    """
    from importlib.util import find_spec

    if ":" in value:
        raise ValueError("the value names an object; give a package, such as acme_jobs.catalogue")
    spec = find_spec(value)
    if spec is None:
        raise ValueError(f"there is no module {value}")
    if spec.submodule_search_locations is not None:
        return [Path(folder) for folder in spec.submodule_search_locations]
    if "." not in value or spec.origin is None:
        raise ValueError(f"{value} is a module that shares its folder with others; give a package")
    return [Path(spec.origin).parent]


def _definitions(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    """Yield name and file of the definitions in a folder and those below it."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _definitions(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            yield prefix + entry.name.removesuffix(".yaml"), entry


# Messages -----------------------------------------------------------------------------------------------


def _broken(point: EntryPoint, origin: str, error: Exception) -> str:
    why = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
    return (
        f"the definitions of {origin} cannot be read: {why} (entry point {point.name} = {point.value} of the "
        f"group {GROUP})"
    )


def _clash(name: str, origins: list[str]) -> str:
    return (
        f"{name} is the name of a definition of {' and of '.join(origins)}; load the one that is meant by "
        "its path, or uninstall the other package"
    )


def _unknown(name: str, catalogue: Catalogue) -> str:
    import difflib

    names = sorted({*catalogue.entries, *catalogue.clashes})
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    listed = f"Packaged: {', '.join(names[:_SHOWN_NAMES])}"
    if len(names) > _SHOWN_NAMES:
        listed += f" and {len(names) - _SHOWN_NAMES} more, which asyncjob list shows"
    return "\n".join(
        [
            f"{shown(name)} is neither a file (.yaml, .yml, .json) nor the name of a packaged definition; "
            f"{hint}{listed}",
            *catalogue.broken,
        ]
    )
