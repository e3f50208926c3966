"""What downloads cost: peak memory by size, and processor time a row, beside others with the same bytes.

    python benchmarks/results.py [--rows N] [--megabytes N ...] [--lines N ...] [--rounds N]
        [--airbyte PYTHON]

Each line is a process of its own, whose processor time (user and system) and peak memory the operating
system tells; the server is another process. A time is that of the whole run less that of a run with 10,000
rows, the best of all rounds of each; in a round the ways take turns, so that other work on the machine meets
all of them. airbyte-cdk runs in an environment of its own, see ``airbyte_environment.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from airbyte_environment import VERSION, airbyte_python

FEW = 10_000
MOST_MEMORY = 300
COLUMNS = ("id", "name", "email", "amount", "country", "created", "quantity", "active")
SERVER = """
import json, sys, time
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
        kind, count, *line = parts[1], *map(int, parts[2:])
        block = BLOCKS["jsonl" if kind == "json" else kind]
        if kind == "json":
            block = block.replace(b"\\n", b",")
        self.wfile.write(b"[" if kind == "json" else HEAD[kind])
        started = time.perf_counter()
        for number in range(1, count // 10_000):
            self.wfile.write(block)
            if line:  # so many megabytes a second
                left = started + number * len(block) / line[0] / 1e6 - time.perf_counter()
                time.sleep(max(0.0, left))
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

# What the package does besides: the SHA-256 of the manifest, and a file that is on the disk.
HASHED = """
import hashlib, os, requests, sys
digest = hashlib.sha256()
with requests.get(sys.argv[1], stream=True) as answer, open(sys.argv[2], "wb") as out:
    for chunk in answer.iter_content(1024 * 1024):
        digest.update(chunk)
        out.write(chunk)
    out.flush()
    os.fsync(out.fileno())
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


class Cost(NamedTuple):
    """Of one process: seconds of processor time, seconds on the clock, megabytes at the peak."""

    processor: float
    clock: float
    peak: int


def measure(command: list[str]) -> Cost:
    """Run a process."""
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        clock = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            sys.exit(said.read().decode())
    return Cost(used.ru_utime + used.ru_stime, clock, used.ru_maxrss // 1024)


Ways = dict[str, tuple[list[str], list[str]]]
"""Of each way, by its name: the command for 10,000 rows, and the one for all."""


def compared(ways: Ways, rounds: int) -> dict[str, Cost]:
    """Run all ways in turns; of each, the best time for all rows less the best for few."""
    seen: dict[str, list[tuple[Cost, Cost]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (few, many) in ways.items():
            seen[name].append((measure(few), measure(many)))
    return {name: _difference(costs) for name, costs in seen.items()}


def _difference(costs: list[tuple[Cost, Cost]]) -> Cost:
    few, many = ([cost[which] for cost in costs] for which in (0, 1))
    return Cost(
        min(cost.processor for cost in many) - min(cost.processor for cost in few),
        min(cost.clock for cost in many) - min(cost.clock for cost in few),
        max(cost.peak for cost in many),
    )


def ours(url: str, folder: Path, kind: str, rows: int, suffix: str, line: str = "") -> list[str]:
    """Return the command of a whole job: submit, one poll, download.

    :param line: ``-N``, where the server sends N megabytes a second at most.
    """
    job = folder / "job.json"
    job.write_text(
        json.dumps(
            {
                "name": "bench",
                "inputs": {"rows": {"type": "integer"}},
                "submit": {"request": {"url": f"/jobs/{kind}-{{{{ inputs.rows }}}}{line}"}, "id": "id"},
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


def row_time(url: str, folder: Path, rows: int, rounds: int, airbyte: Path | None) -> None:
    """Print the processor time that each row takes on its way to Parquet."""
    out = str(folder / "other.parquet")
    print(f"\nto Parquet, {rows:,} rows, processor time, the best of {rounds} rounds", flush=True)
    for kind in ("csv", "jsonl", "json"):
        few, many = (ours(url, folder, kind, count, "parquet") for count in (FEW, rows))
        ways: Ways = {"airflow_asyncjob": (few, many)}
        if airbyte is not None and kind != "json":
            for name, script in (("a source", AIRBYTE), ("its decoder alone", DECODER)):
                few, many = (
                    [str(airbyte), "-c", script, url, kind, str(count), out, ",".join(COLUMNS)]
                    for count in (FEW, rows)
                )
                ways[f"airbyte-cdk {VERSION}, {name}"] = (few, many)
        costs = compared(ways, rounds)
        base = costs["airflow_asyncjob"].processor
        for name, cost in costs.items():
            times = "" if name == "airflow_asyncjob" else f"{cost.processor / base:>8.1f} times as much"
            print(
                f"{kind:<8}{name:<38}{cost.processor / (rows - FEW) * 1e6:>7.2f} us a row{times}", flush=True
            )


def raw_time(url: str, block: int, folder: Path, size: int, rounds: int, line: int | None = None) -> None:
    """Print what a raw download takes, beside requests.

    :param line: the server sends so many megabytes a second; None: as many as it can.
    """
    rows = size * 1_000_000 // block * 10_000
    speed = "the loopback" if line is None else f"a line of {line * 8 / 1000:g} Gbit/s"
    print(f"\nraw, {size} MB of CSV over {speed}, the best of {rounds} rounds", flush=True)
    print(f"{'processor':>48}{'clock':>10}", flush=True)
    out = str(folder / "other.bin")
    few, many = (
        ours(url, folder, "csv", count, "bin", "" if line is None else f"-{line}") for count in (FEW, rows)
    )
    ways: Ways = {"airflow_asyncjob, hashed and synced": (few, many)}
    for name, script in (("", REQUESTS), (", hashed and synced", HASHED)):
        path = f"{url}/data/csv/{{}}{'' if line is None else f'/{line}'}"
        few, many = ([sys.executable, "-c", script, path.format(count), out] for count in (FEW, rows))
        ways[f"requests{name}"] = (few, many)
    costs = compared(ways, rounds)
    own = next(iter(costs.values()))
    for name, cost in costs.items():
        times = "".join(f"{seconds / size * 1000:>10.2f}" for seconds in (cost.processor, cost.clock))
        of_it = f"; this package {own.processor / cost.processor:.2f} and {own.clock / cost.clock:.2f} times"
        print(f"{name:<38}{times}  ms a MB{'' if cost is own else of_it}", flush=True)


def memory(url: str, block: int, folder: Path, megabytes: list[int]) -> None:
    """Print the peak memory of downloads of several sizes."""
    print(f"\npeak memory{'':<9}" + "".join(f"{size:>8} MB" for size in megabytes), flush=True)
    for kind, suffix in (("csv", "bin"), ("csv", "parquet"), ("jsonl", "parquet"), ("jsonl", "jsonl")):
        peaks = []
        for size in megabytes:
            rows = size * 1_000_000 // (block * (2 if kind == "jsonl" else 1)) * 10_000
            peaks.append(measure(ours(url, folder, kind, rows, suffix)).peak)
        name = f"{kind} to {suffix.replace('bin', 'raw')}"
        verdict = "" if max(peaks) <= MOST_MEMORY else f"  more than {MOST_MEMORY} MB"
        print(f"{name:<20}" + "".join(f"{peak:>8} MB" for peak in peaks) + verdict, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=int, nargs="*", default=[1000, 250], help="megabytes a second")
    parser.add_argument(
        "--airbyte", metavar="PYTHON", type=Path, help="with airbyte-cdk and pyarrow (default: .bench)"
    )
    given = parser.parse_args()
    airbyte = given.airbyte or airbyte_python()
    with serving() as (url, block), tempfile.TemporaryDirectory() as folder:
        row_time(url, Path(folder), given.rows, given.rounds, airbyte)
        for line in (None, *given.lines):
            raw_time(url, block, Path(folder), given.megabytes[0], given.rounds, line)
        memory(url, block, Path(folder), given.megabytes)


if __name__ == "__main__":
    main()
