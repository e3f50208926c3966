"""OpenLineage facets of a download. Imported only by its provider, when that asks the operator."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow_asyncjob.hooks.lineage import Written

__all__ = ["lineage_of"]


def lineage_of(written: Written) -> Any:
    """Return the provider's ``OperatorLineage``: the API as input, the files as outputs with rows and bytes.

    Names and namespaces are as the OpenLineage naming rules have them for files: scheme and authority, then
    the path.

    :raises ImportError: the provider is not installed.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    manifest = written.manifest
    facets: dict[str, Any] = {
        "outputStatistics": statistics.OutputStatisticsOutputDatasetFacet(
            rowCount=manifest.records, size=manifest.bytes, fileCount=len(manifest.uris)
        )
    }
    source = InputDataset(**_named(written.source))
    outputs = [OutputDataset(**_named(uri), outputFacets=facets) for uri in written.uris[:1]]
    outputs += [OutputDataset(**_named(uri)) for uri in written.uris[1:]]
    return OperatorLineage(inputs=[source], outputs=outputs)


def _named(uri: str) -> dict[str, Any]:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return {"namespace": "file", "name": parts.path}
    return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": parts.path.lstrip("/") or "/"}
