"""What downloads cost: peak memory by size, and processor time a row, beside others with the same bytes.

    python benchmarks/results.py [--rows N] [--megabytes N ...] [--airbyte PYTHON]

Each line is a process of its own, whose processor time (user and system) and peak memory the operating
system tells; the server is another process. Processor time a row is that of the whole run less that of a run
with 10,000 rows. With ``--airbyte``, the Python of an environment that has airbyte-cdk and pyarrow, the
decoders of airbyte-cdk read the same rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FEW = 10_000
COLUMNS = ("id", "name", "email", "amount", "country", "created", "quantity", "active")
SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAMES = sys.argv[1].split(",")

def row(number):
    return ["%08d" % number, "name, %d" % number, "a%d@example.com" % number, number + 0.25, "AT",
            "2026-11-22T%02d:%02d:05Z" % (number // 60 % 24, number % 60), number % 1000, number % 2 == 0]

def line(kind, number):
    values = row(number)
    if kind == "csv":
        return '%s,"%s",%s,%s,%s,%s,%s,%s' % (*values[:7], str(values[7]).lower())
    return json.dumps(dict(zip(NAMES, values)))

BLOCKS = {
    kind: "".join(line(kind, number) + "\\n" for number in range(10_000_000, 10_010_000)).encode()
    for kind in ("csv", "jsonl")
}
HEAD = {"csv": (",".join(NAMES) + "\\n").encode(), "jsonl": b""}

class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()
    def do_GET(self):
        self.send_response(200)
        parts = self.path.strip("/").split("/")
        if parts[0] != "data":
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            url = "http://127.0.0.1:%d/data/%s" % (server.server_port, parts[-1].replace("-", "/"))
            self.wfile.write(json.dumps({"id": parts[-1], "state": "done", "url": url}).encode())
            return
        self.end_headers()
        kind, count = parts[1], int(parts[2])
        block = BLOCKS["jsonl" if kind == "json" else kind]
        if kind == "json":
            block = block.replace(b"\\n", b",")
        self.wfile.write(b"[" if kind == "json" else HEAD[kind])
        for _ in range(count // 10_000 - 1):
            self.wfile.write(block)
        self.wfile.write(block[:-1] + b"]" if kind == "json" else block)

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, len(BLOCKS["csv"]), flush=True)
server.serve_forever()
"""

OURS = """
import sys
from airflow_asyncjob.cli.app import call
sys.exit(call(sys.argv[1:]))
"""

REQUESTS = """
import requests, sys
with requests.get(sys.argv[1], stream=True) as answer, open(sys.argv[2], "wb") as out:
    for chunk in answer.iter_content(1024 * 1024):
        out.write(chunk)
"""

# A source of airbyte-cdk with one asynchronous stream, and its records written as its users have to do it
# themselves: the same job, submitted, polled and downloaded, and the same file in the end.
AIRBYTE = """
import itertools, logging, sys
import pyarrow as pa, pyarrow.parquet as pq
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, Type
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

base, kind, count, out, names = sys.argv[1:]

def request(url, method="GET"):
    return {"type": "HttpRequester", "url": url, "http_method": method}

def field(name):
    return {"type": "DpathExtractor", "field_path": [name]}

columns = {name: {} for name in names.split(",")}
retriever = {
    "type": "AsyncRetriever",
    "creation_requester": request(f"{base}/jobs/{kind}-{count}", "POST"),
    "polling_requester": request(base + "/jobs/{{ creation_response['id'] }}"),
    "download_requester": request("{{ download_target }}"),
    "status_mapping": {
        "type": "AsyncJobStatusMap",
        "running": ["running"], "completed": ["done"], "failed": ["failed"], "timeout": ["timeout"],
    },
    "status_extractor": field("state"),
    "download_target_extractor": field("url"),
    "record_selector": {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": []}},
    "download_decoder": {"type": "CsvDecoder" if kind == "csv" else "JsonlDecoder"},
}
stream = {
    "type": "DeclarativeStream", "name": "rows", "primary_key": [], "retriever": retriever,
    "schema_loader": {"type": "InlineSchemaLoader", "schema": {"type": "object", "properties": columns}},
}
manifest = {
    "type": "DeclarativeSource", "version": "7.0.0", "streams": [stream],
    "check": {"type": "CheckStream", "stream_names": ["rows"]},
}
catalog = ConfiguredAirbyteCatalogSerializer.load({"streams": [{
    "stream": {"name": "rows", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
    "sync_mode": "full_refresh", "destination_sync_mode": "overwrite",
}]})
source = ConcurrentDeclarativeSource(catalog=catalog, config={}, state=[], source_config=manifest)
messages = source.read(logging.getLogger("bench"), {}, catalog, [])
records = (message.record.data for message in messages if message.type == Type.RECORD)
writer, written = None, 0
while rows := list(itertools.islice(records, 10_000)):
    table = pa.Table.from_pylist([dict(row) for row in rows])
    writer = writer or pq.ParquetWriter(out, table.schema)
    writer.write_table(table)
    written += len(rows)
writer.close()
sys.exit(written != int(count))
"""

# The same with the decoder alone: nothing but bytes to dicts.
DECODER = """
import itertools, requests, sys
import pyarrow as pa, pyarrow.parquet as pq
from airbyte_cdk.sources.declarative.decoders import composite_raw_decoder as decoders
base, kind, count, out, names = sys.argv[1:]
parser = decoders.CsvParser() if kind == "csv" else decoders.JsonLineParser()
decoder = decoders.CompositeRawDecoder(parser=parser, stream_response=True)
writer = None
with requests.get(f"{base}/data/{kind}/{count}", stream=True) as answer:
    records = iter(decoder.decode(answer))
    while rows := list(itertools.islice(records, 10_000)):
        table = pa.Table.from_pylist([dict(row) for row in rows])
        writer = writer or pq.ParquetWriter(out, table.schema)
        writer.write_table(table)
writer.close()
"""


@contextmanager
def serving() -> Iterator[tuple[str, int]]:
    """Run the server; give its URL, and the bytes of 10,000 rows of CSV."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, ",".join(COLUMNS)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port, size = server.stdout.readline().split()
        try:
            yield f"http://127.0.0.1:{port}", int(size)
        finally:
            server.terminate()


def measure(command: list[str]) -> tuple[float, int]:
    """Run a process: seconds of processor time, and megabytes at the peak."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            sys.exit(said.read().decode())
    return used.ru_utime + used.ru_stime, used.ru_maxrss // 1024


def ours(url: str, folder: Path, kind: str, rows: int, suffix: str) -> list[str]:
    """Return the command of a whole job: submit, one poll, download."""
    job = folder / "job.json"
    job.write_text(
        json.dumps(
            {
                "name": "bench",
                "inputs": {"rows": {"type": "integer"}},
                "submit": {"request": {"url": f"/jobs/{kind}-{{{{ inputs.rows }}}}"}, "id": "id"},
                "status": {
                    "request": {"url": "/jobs/{{ submission_id }}"},
                    "path": "state",
                    "values": {"running": ["running"], "done": ["done"]},
                    "initial_wait": 0,
                },
                "result": {"target": "url", "format": kind},
            }
        )
    )
    destination = str(folder / f"out.{suffix}")
    words = ["run", str(job), "--base-url", url, "--set", f"rows={rows}", "--destination", destination]
    return [sys.executable, "-c", OURS, *words]


def memory(url: str, block: int, folder: Path, megabytes: list[int]) -> None:
    """Print the peak memory of downloads of several sizes."""
    print(f"\n{'CSV of':<10}{'to':<10}{'peak':>10}{'processor':>14}")
    for size in megabytes:
        rows = size * 1_000_000 // block * 10_000
        for suffix in ("bin", "parquet"):
            seconds, peak = measure(ours(url, folder, "csv", rows, suffix))
            print(
                f"{size:>5} MB  {suffix.replace('bin', 'raw'):<10}{peak:>7} MB{seconds:>12.1f} s", flush=True
            )


def row_time(url: str, folder: Path, rows: int, airbyte: str | None) -> None:
    """Print the processor time that each row takes on its way to Parquet."""
    out = str(folder / "other.parquet")

    def line(name: str, kind: str, small: list[str], large: list[str]) -> None:
        base, seconds = measure(small)[0], measure(large)[0]
        print(f"{kind:<8}{name:<34}{(seconds - base) / (rows - FEW) * 1e6:>8.2f} us a row", flush=True)

    print(f"\nto Parquet, {rows:,} rows")
    for kind in ("csv", "jsonl", "json"):
        pair = [ours(url, folder, kind, count, "parquet") for count in (FEW, rows)]
        line("airflow_asyncjob", kind, pair[0], pair[1])
        if airbyte is not None and kind != "json":
            for name, script in (("airbyte-cdk, a source", AIRBYTE), ("airbyte-cdk, its decoder", DECODER)):
                given = [[url, kind, str(count), out, ",".join(COLUMNS)] for count in (FEW, rows)]
                line(name, kind, *([airbyte, "-c", script, *each] for each in given))


def raw_time(url: str, block: int, folder: Path, size: int) -> None:
    """Print the processor time of a raw download, beside that of requests."""
    rows = size * 1_000_000 // block * 10_000
    print(f"\nraw, {size} MB of CSV")
    out = str(folder / "other.bin")
    ways = {
        "airflow_asyncjob": [ours(url, folder, "csv", count, "bin") for count in (FEW, rows)],
        "requests, iter_content(1 MiB)": [
            [sys.executable, "-c", REQUESTS, f"{url}/data/csv/{count}", out] for count in (FEW, rows)
        ],
    }
    for name, (small, large) in ways.items():
        base, seconds = measure(small)[0], measure(large)[0]
        print(f"{name:<34}{(seconds - base) / size * 1000:>8.2f} ms a MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--airbyte", metavar="PYTHON", help="of an environment with airbyte-cdk and pyarrow")
    given = parser.parse_args()
    with serving() as (url, block), tempfile.TemporaryDirectory() as folder:
        row_time(url, Path(folder), given.rows, given.airbyte)
        raw_time(url, block, Path(folder), given.megabytes[0])
        memory(url, block, Path(folder), given.megabytes)


if __name__ == "__main__":
    main()
