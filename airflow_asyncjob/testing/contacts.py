"""Contacts as SendGrid exports them: made from their number, so that a checker can make them again.

The columns and the quoting (every value that is not empty in double quotes) are those of an export kept with
the unit tests of Airbyte's source-sendgrid (``unit_tests/decompressed_response.csv``, read 2026-11-22).
PHONE_NUMBER_ID, EXTERNAL_ID and ANONYMOUS_ID are identifiers that SendGrid added later
(www.twilio.com/docs/sendgrid/ui/managing-contacts/create-and-manage-contacts); where they stand in the file
is not documented, here they come last but one.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

__all__ = ["COLUMNS", "check_contacts", "contact", "expected_contacts", "records_digest", "write_contacts"]

COLUMNS = (
    "EMAIL",
    "FIRST_NAME",
    "LAST_NAME",
    "ADDRESS_LINE_1",
    "ADDRESS_LINE_2",
    "CITY",
    "STATE_PROVINCE_REGION",
    "POSTAL_CODE",
    "COUNTRY",
    "ALTERNATE_EMAILS",
    "PHONE_NUMBER",
    "WHATSAPP",
    "LINE",
    "FACEBOOK",
    "UNIQUE_NAME",
    "PHONE_NUMBER_ID",
    "EXTERNAL_ID",
    "ANONYMOUS_ID",
    "CREATED_AT",
    "UPDATED_AT",
    "CONTACT_ID",
)

_FIRST = ("Ada", "Jörg", 'Li "Lee"', "Zoë", "Олена", "太郎", "", "Mary\nAnn", "O'Neil")
_LAST = (
    "Lovelace",
    "Müller, Dr.",
    "Wei",
    "Bonnaire",
    "Шевченко",
    "山田",
    "NO",
    "von der Leiste",
    "nan",
    "007",
)
_CITY = ("London", "Köln", "São Paulo", "Zürich", "")
_EPOCH = 1_600_000_000
_ROWS_AT_ONCE = 1000


def contact(number: int) -> dict[str, str]:
    """Return one contact; every value is text, empty where there is none.

    Among them are IDs and postal codes with leading zeros, texts that look like numbers or nulls (``007``,
    ``nan``, ``NO``), commas, quotes, line breaks and other scripts: what a reader that guesses types or
    splits lines gets wrong.

    :param number: 0 for the first contact.
    """
    created = datetime.fromtimestamp(_EPOCH + number, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "EMAIL": f"contact.{number}@example.com",
        "FIRST_NAME": _FIRST[number % len(_FIRST)],
        "LAST_NAME": _LAST[number % len(_LAST)],
        "ADDRESS_LINE_1": f'{number % 300 + 1} High Street, "Annexe"' if number % 7 == 0 else "",
        "ADDRESS_LINE_2": "",
        "CITY": _CITY[number % len(_CITY)],
        "STATE_PROVINCE_REGION": "",
        "POSTAL_CODE": f"{number % 100_000:05d}",
        "COUNTRY": "NO" if number % 11 == 0 else "DE",
        "ALTERNATE_EMAILS": f"alt.{number}@example.org,second.{number}@example.org"
        if number % 13 == 0
        else "",
        "PHONE_NUMBER": f"+4420{number:08d}" if number % 3 == 0 else "",
        "WHATSAPP": "",
        "LINE": "",
        "FACEBOOK": "",
        "UNIQUE_NAME": "",
        "PHONE_NUMBER_ID": "",
        "EXTERNAL_ID": f"{number:010d}",
        "ANONYMOUS_ID": "",
        "CREATED_AT": created,
        "UPDATED_AT": created,
        "CONTACT_ID": f"{number:08x}-0000-4000-8000-{number * 2_654_435_761 % 2**48:012x}",
    }


def expected_contacts(count: int, *, start: int = 0) -> Iterator[dict[str, str]]:
    """Yield contacts in the order of the export.

    :param count: how many; :attr:`SendgridOptions.contacts` for all.
    :param start: number of the first one.
    """
    return (contact(number) for number in range(start, start + count))


def records_digest(records: Iterable[Mapping[str, Any]]) -> str:
    """Return a SHA-256 (hex) over records, their order and their fields; None and ``""`` are the same to it.

    Two sequences with the same digest are the same records. Memory does not grow with their number.
    """
    digest = hashlib.sha256()
    for record in records:
        for name, value in record.items():
            for text in (name, "" if value is None else str(value)):
                data = text.encode()
                digest.update(b"%d:" % len(data) + data)
        digest.update(b"\n")
    return digest.hexdigest()


def check_contacts(records: Iterable[Mapping[str, Any]], count: int) -> list[str]:
    """Compare records with the export of that many contacts and return what is wrong; empty: nothing.

    Order and columns count; None and ``""`` are the same. At most 10 differences are listed.

    :param records: what came out, for example the rows of a Parquet file.
    :param count: how many contacts the server had.
    """
    problems: list[str] = []
    seen = 0
    for record in records:
        got = {name: "" if value is None else value for name, value in record.items()}
        if seen < count and got != (wanted := contact(seen)) and len(problems) < 10:
            wrong = [name for name in {**wanted, **got} if wanted.get(name) != got.get(name)]
            shown = ", ".join(
                f"{name}: expected {wanted.get(name)!r}, got {got.get(name)!r}" for name in wrong[:3]
            )
            problems.append(f"record {seen}: {shown}")
        seen += 1
    if seen != count:
        problems.append(f"expected {count} records, got {seen}")
    return problems


def write_contacts(out: BinaryIO, count: int, *, start: int = 0) -> None:
    """Write contacts as a gzip CSV file, as SendGrid does. The same contacts are the same bytes.

    :param out: binary file.
    """
    with gzip.GzipFile("", "wb", 1, out, mtime=0) as zipped:
        zipped.write((",".join(f'"{name}"' for name in COLUMNS) + "\n").encode())
        for first in range(start, start + count, _ROWS_AT_ONCE):
            numbers = range(first, min(first + _ROWS_AT_ONCE, start + count))
            zipped.write("".join(_line(number) for number in numbers).encode())


def _line(number: int) -> str:
    values = (value.replace('"', '""') for value in contact(number).values())
    return ",".join(f'"{value}"' if value else "" for value in values) + "\n"
