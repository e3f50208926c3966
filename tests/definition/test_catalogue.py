"""Definitions by name: those that ship, and those that installed packages add by an entry point."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from airflow_asyncjob.definition import AsyncJob
from airflow_asyncjob.definition.catalogue import (
    GROUP,
    SHIPPED,
    CatalogueWarning,
    find_entry,
    packaged_names,
    read_catalogue,
)
from airflow_asyncjob.errors import DefinitionError
from tests.definition.installed import definition_text as orders
from tests.definition.installed import lay

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Give a function that installs a package into a folder of its own on ``sys.path``."""

    def installed(distribution: str, value: str, files: Mapping[str, str], **options: str) -> Path:
        site = tmp_path / f"site-{distribution}"
        lay(site, distribution, value, files, **options)
        monkeypatch.syspath_prepend(site)
        return site

    before = set(sys.modules)
    yield installed
    for name in set(sys.modules) - before:
        if name.startswith(("acme", "other")):
            del sys.modules[name]


def test_a_package_adds_definitions_that_load_by_name(install: Install) -> None:
    site = install(
        "acme-jobs",
        "acme_jobs.catalogue",
        {
            "acme_jobs/__init__.py": "",
            "acme_jobs/catalogue/acme/orders.yaml": orders(),
            "acme_jobs/catalogue/acme/deeper/returns.yaml": orders("acme/deeper/returns"),
            "acme_jobs/catalogue/README.md": "no definition",
        },
    )
    assert AsyncJob.load("acme/orders").description == "Orders."
    assert AsyncJob.load("acme/deeper/returns").name == "acme/deeper/returns"
    entry = find_entry("acme/orders")
    assert (entry.name, entry.origin) == ("acme/orders", "acme-jobs 1.2")
    assert str(entry.file) == str(site / "acme_jobs/catalogue/acme/orders.yaml")
    catalogue = read_catalogue()
    assert {"acme/orders", "acme/deeper/returns", *packaged_names()} == set(catalogue.entries)
    assert catalogue.entries["sendgrid/contacts_export"].origin == SHIPPED
    assert catalogue.warnings == []


def test_mistakes_of_its_files_are_shown_with_name_and_line(install: Install) -> None:
    files = {"acme_jobs/__init__.py": "", "acme_jobs/orders.yaml": orders("orders") + "polling: 3\n"}
    install("acme-jobs", "acme_jobs", files)
    with pytest.raises(DefinitionError, match=r"^orders:10: polling: unknown field; "):
        AsyncJob.load("orders")


def test_a_module_stands_for_the_folder_that_it_lies_in_and_is_not_run(install: Install) -> None:
    install(
        "acme-jobs",
        "acme_jobs.jobs.here",
        {
            "acme_jobs/__init__.py": "",
            "acme_jobs/jobs/__init__.py": "",
            "acme_jobs/jobs/here.py": "raise RuntimeError('not to be run')",
            "acme_jobs/jobs/acme/orders.yaml": orders(),
        },
    )
    assert AsyncJob.load("acme/orders").name == "acme/orders"
    assert read_catalogue().warnings == []


def test_a_namespace_that_two_packages_share_has_the_definitions_of_both(install: Install) -> None:
    for team in ("buy", "sell"):
        files = {f"acme_catalogue/{team}/orders.yaml": orders(f"{team}/orders")}
        install(f"acme-{team}", "acme_catalogue", files)
    assert {"buy/orders", "sell/orders"} <= set(read_catalogue().entries)
    assert read_catalogue().warnings == []


def test_what_ships_cannot_be_replaced(install: Install) -> None:
    name = "sendgrid/contacts_export"
    install("acme-jobs", "acme_jobs", {f"acme_jobs/{name}.yaml": orders(name)})
    assert AsyncJob.load(name).description.startswith("All contacts")
    catalogue = read_catalogue()
    assert catalogue.entries[name].origin == SHIPPED
    assert catalogue.warnings == [
        "the definition sendgrid/contacts_export of acme-jobs 1.2 is not loaded: one that ships with "
        "airflow-asyncjob has the same name; rename the file, such as with the company's name in front"
    ]


def test_a_name_of_two_packages_is_an_error_for_that_name_only(install: Install) -> None:
    install("acme-jobs", "acme_jobs", {"acme_jobs/shop/orders.yaml": orders("shop/orders")})
    install(
        "other-jobs",
        "other_jobs",
        {
            "other_jobs/shop/orders.yaml": orders("shop/orders"),
            "other_jobs/shop/returns.yaml": orders("shop/returns"),
        },
    )
    said = (
        "shop/orders is the name of a definition of acme-jobs 1.2 and of other-jobs 1.2; load the one that "
        "is meant by its path, or uninstall the other package"
    )
    with pytest.raises(DefinitionError) as caught:
        AsyncJob.load("shop/orders")
    assert caught.value.message == said
    assert AsyncJob.load("shop/returns").name == "shop/returns"
    assert read_catalogue().warnings == [said]


@pytest.mark.parametrize(
    ("value", "files", "why"),
    [
        ("acme_gone.catalogue", {}, "ModuleNotFoundError: No module named 'acme_gone'"),
        ("acme_jobs.gone", {"acme_jobs/__init__.py": ""}, "there is no module acme_jobs.gone"),
        (
            "acme_jobs.catalogue",
            {"acme_jobs/__init__.py": "1 / 0", "acme_jobs/catalogue/a.yaml": orders("a")},
            "ZeroDivisionError: division by zero",
        ),
        (
            "acme_jobs:catalogue",
            {"acme_jobs/__init__.py": ""},
            "the value names an object; give a package, such as acme_jobs.catalogue",
        ),
        (
            "acme_single",
            {"acme_single.py": "", "a.yaml": orders("a")},
            "acme_single is a module that shares its folder with others; give a package",
        ),
        ("acme_jobs", {"acme_jobs/__init__.py": ""}, "acme_jobs holds no NAME.yaml"),
    ],
)
def test_a_broken_entry_point_says_whose_it_is_and_hides_no_other(
    install: Install, value: str, files: Mapping[str, str], why: str
) -> None:
    install("acme-jobs", value, files, point="broken")
    install("other-jobs", "other_jobs", {"other_jobs/other/orders.yaml": orders("other/orders")})
    (said,) = read_catalogue().warnings
    assert said.startswith("the definitions of acme-jobs 1.2 cannot be read: ")
    assert said.endswith(f"{why} (entry point broken = {value} of the group {GROUP})")
    with pytest.warns(CatalogueWarning, match="the definitions of acme-jobs 1.2 cannot be read"):
        assert AsyncJob.load("other/orders").name == "other/orders"
    with pytest.raises(DefinitionError) as caught:
        AsyncJob.load("acme/orders")
    first, second = caught.value.message.splitlines()
    assert first.startswith("'acme/orders' is neither a file")
    assert "did you mean 'other/orders'" in first
    assert second == said


def test_what_ships_loads_without_a_look_at_other_packages(
    install: Install, recwarn: pytest.WarningsRecorder
) -> None:
    install("acme-jobs", "acme_gone", {})
    assert AsyncJob.load("sendgrid/contacts_export").name == "sendgrid/contacts_export"
    assert [str(each.message) for each in recwarn] == []


def test_a_file_that_no_name_leads_to_is_told(install: Install) -> None:
    files = {"acme_jobs/acme/my orders.yaml": orders(), "acme_jobs/acme/orders.yaml": orders()}
    site = install("acme-jobs", "acme_jobs", files)
    assert read_catalogue().warnings == [
        f"{site}/acme_jobs/acme/my orders.yaml of acme-jobs 1.2 is not loaded: a name has letters, digits, - "
        "and _, and a / between its parts, not 'acme/my orders'; rename the file"
    ]


def test_of_many_names_the_close_ones_are_said_and_where_the_rest_is(install: Install) -> None:
    files = {f"acme_jobs/acme/job_{number}.yaml": orders() for number in range(100)}
    install("acme-jobs", "acme_jobs", files)
    with pytest.raises(DefinitionError) as caught:
        AsyncJob.load("sendgrid/contact_export")
    assert "did you mean 'sendgrid/contacts_export'" in caught.value.message
    number = 100 + len(packaged_names()) - 30
    assert caught.value.message.endswith(f" and {number} more, which asyncjob list shows")
