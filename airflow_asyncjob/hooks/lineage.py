"""Says where a result came from and where it went: asset events, hook lineage, OpenLineage.

None of it may fail a download that is written: what cannot be said is named in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from airflow_asyncjob.definition.templates import is_template

if TYPE_CHECKING:
    from airflow_asyncjob.definition import AsyncJob
    from airflow_asyncjob.results.manifest import Manifest
    from airflow_asyncjob.transport import Wire

__all__ = ["Written", "report", "source_uri"]

_MOST = 20
"""URIs that are told of one download."""


@dataclass(frozen=True)
class Written:
    """What one download wrote, and from where.

    :param source: URI of the API, without secrets.
    """

    source: str
    manifest: Manifest

    @property
    def uris(self) -> list[str]:
        """Where the files lie: URIs without a connection in them, the first 20."""
        return [_bare(uri) for uri in self.manifest.uris[:_MOST]]

    @property
    def extra(self) -> dict[str, Any]:
        """What an asset event says."""
        manifest = self.manifest
        return {
            "records": manifest.records,
            "bytes": manifest.bytes,
            "sha256": manifest.sha256,
            "uri": next(iter(self.uris), None),
            "files": len(manifest.uris),
            "state": manifest.state,
            "submission_id": manifest.submission_id,
        }


def source_uri(definition: AsyncJob, wire: Wire) -> str:
    """Return what names the API's data in lineage, the same for each job: the address of the submit, where it
    is no template, else that of the connection; without user, query and secrets.
    """
    from airflow_asyncjob.transport.address import join_url

    submit = definition.submit
    given = submit.request.url if submit is not None and submit.request is not None else ""
    base = wire.settings.base_url
    url = str(base if not given or is_template(given) else join_url(base, given))
    parts = urlsplit(url)
    return wire.redactor.text(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


def _tell_assets(context: Mapping[str, Any], outlets: Iterable[Any], written: Written) -> None:
    """Add rows and bytes to the events of the task's outlets; an alias becomes the files themselves."""
    from airflow.sdk import Asset, AssetAlias

    events = context.get("outlet_events")
    if events is None:
        return
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            for uri in written.uris:
                events[outlet].add(Asset(uri), extra={**written.extra, "uri": uri})
        elif isinstance(outlet, Asset):
            events[outlet].extra.update(written.extra)


def _tell_hook_lineage(hook: Any, written: Written) -> None:
    """Tell Airflow's collector, which hands it to whoever registered a reader, such as OpenLineage."""
    from airflow.sdk.lineage import get_hook_lineage_collector

    collector = get_hook_lineage_collector()
    collector.add_input_asset(context=hook, uri=written.source)
    for uri in written.uris:
        collector.add_output_asset(context=hook, uri=uri, asset_extra=written.extra)


def report(task: Any, context: Mapping[str, Any], wire: Wire, manifest: Manifest) -> Written | None:
    """Tell of a download that is written, as far as that goes; None: it does not.

    :param task: the operator; its ``outlets`` are told.
    """
    from airflow_asyncjob.hooks.asyncjob import AsyncJobHook

    try:
        written = Written(source_uri(task.definition, wire), manifest)
        _tell_assets(context, task.outlets, written)
        _tell_hook_lineage(AsyncJobHook(task.http_conn_id), written)
    except Exception as error:
        task.log.warning("Where the result came from and went cannot be told to Airflow: %r", error)
        return None
    return written


def _bare(uri: str) -> str:
    """Return a path or URI as a URI, without the connection in front of a bucket."""
    if "://" not in uri:
        return f"file://{uri}" if uri.startswith("/") else f"file:///{uri}"
    scheme, _, rest = uri.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"
