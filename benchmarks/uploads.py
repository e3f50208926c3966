"""What uploads cost: a large CSV beside ``requests`` with the same file, a million contacts cut into parts.

    python benchmarks/uploads.py [--megabytes N] [--records N] [--tries N]

Each line is a process of its own, whose processor time (user and system) and peak memory the operating system
tells; the server that takes the bodies is another process. The net processor time is that of the whole run
less that of a run with a small file: what the bytes cost, and not the start of Python.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER = """
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def do_POST(self):
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        self.do_GET()
    do_PUT = do_POST
    def do_GET(self):
        answer = json.dumps({"id": "7", "state": "done"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""

REQUESTS = """
import requests, sys
with open(sys.argv[2], "rb") as file:
    requests.put(sys.argv[1] + "/file", data=file).raise_for_status()
"""

OURS = """
import sys
from airflow_asyncjob.cli.app import call
sys.exit(call(sys.argv[1:]))
"""

OURS_TOLD = """
import sys
from airflow_asyncjob.cli.app import call
code = call(sys.argv[1:])
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""

CUT = """
import sys
from airflow_asyncjob.definition.models.upload import Upload
from airflow_asyncjob.transport.upload import local_source
from airflow_asyncjob.uploads import PartReader, plan_upload

path, format, reads = sys.argv[1:]
more = {} if format == "csv" else {
    "envelope": {"contacts": "{{ records }}"},
    "fields": {"email": "email", "first_name": "first", "custom.note": "note"},
}
upload = Upload(source="{{ inputs.rows }}", format=format, part_bytes="6MB", **more)
names = {"inputs": {"rows": path}}
plan = plan_upload(upload, names, local_source)
assert max(part.bytes for part in plan.parts) <= 6_000_000
if reads == "yes":
    reader = PartReader(upload, names, local_source, plan)
    assert all(len(reader.body(part.number)) == part.bytes for part in plan.parts)
print(plan.records + plan.rejected, len(plan.parts))
"""

STATUS = {"request": {"url": "/jobs/7"}, "path": "state", "values": {"running": "running", "done": "done"}}
FILE = {"method": "PUT", "url": "/file", "file": "{{ inputs.rows }}"}
PARTS = {"method": "PUT", "url": "/file", "part": True}
UPLOAD = {"source": "{{ inputs.rows }}", "format": "csv", "part_bytes": "32MB"}
SENDING = {"name": "send", "each": "{{ parts }}", "request": PARTS}
STARTING = {"name": "start", "request": {"url": "/jobs"}}


def job(kind: str, submit: dict[str, object]) -> dict[str, object]:
    """Return a definition that sends the input ``rows``."""
    rows = {"rows": {"type": kind}}
    return {"inputs": rows, "submit": {**submit, "id": "id"}, "status": STATUS}


WAYS = {
    "file: as it is": job("string", {"request": FILE}),
    "upload, CSV in parts of 32 MB": job("records", {"upload": UPLOAD, "steps": [SENDING, STARTING]}),
}


def rows_of(path: Path, size: int) -> None:
    """Write a CSV of so many bytes."""
    rng = random.Random(4711)
    block = "".join(
        f'{number},user{number}@example.com,"Name, {number}",{rng.random():.6f},2026-11-22T10:31:05Z\n'
        for number in range(1_000_000, 1_020_000)
    ).encode()
    with path.open("wb") as file:
        file.write(b"id,email,name,score,created\n")
        for _ in range(size // len(block) + 1):
            file.write(block)


def contacts(path: Path, count: int, names: tuple[str, ...], *, bad: bool = False) -> None:
    """Write contacts whose rows have between 50 bytes and 40 KB, most of them few.

    :param bad: one in 1,000 has no address, and another none that an API takes.
    """
    rng = random.Random(4711)
    text = "some words, and ü \U0001f600 " * 1500
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(names) + "\n")
        for number in range(count):
            mail = {7: "", 13: "nobody"}.get(number % 1000) if bad else None
            mail = f"user{number}@example.com" if mail is None else mail
            size = rng.choices([5, 60, 400, 3000, rng.randint(10_000, 34_000)], [500, 400, 80, 15, 5])[0]
            file.write(f'{mail},First {number},"{text[:size]}"\n')


def import_contacts(folder: Path, count: int) -> None:
    """Import contacts by a packaged definition, in as many jobs as its limits want, and account for each."""
    # Not at the top: what this process has in memory counts as that of the ones that it starts, so that the
    # peak of a job is what the job itself says.
    from airflow_asyncjob.cli.outcome import ExitCode
    from airflow_asyncjob.definition import AsyncJob
    from airflow_asyncjob.testing import FakeJobServer
    from airflow_asyncjob.transport.upload import local_source
    from airflow_asyncjob.uploads import pieces_of

    path, job = folder / "import.csv", AsyncJob.load("eloqua/contacts_import")
    contacts(path, count, ("emailAddress", "firstName", "lastName"), bad=True)
    assert job.submit is not None
    assert job.submit.upload is not None
    pieces = pieces_of(job.submit.upload, {"inputs": {"contacts": str(path)}}, local_source)
    seconds, peak, rejects = 0.0, 0, 0
    with FakeJobServer("eloqua") as server:
        os.environ["ASYNCJOB_CONN"] = json.dumps(server.connection)
        for piece in pieces:
            out = folder / f"import-{piece['first']}" / ""
            given = ["--set", f"contacts={json.dumps(piece)}", "--destination", f"{out}/"]
            command = [sys.executable, "-c", OURS_TOLD, "run", "eloqua/contacts_import", *given]
            used, _, said = cost(command, ends=ExitCode.PARTIAL)
            seconds, peak = seconds + used, max(peak, int(said.split()[-2]) // 1024)
            rejects += len((out / "rejects.jsonl").read_text().splitlines())
        del os.environ["ASYNCJOB_CONN"]
        records, bodies = server.ledger.records, [entry.size for entry in server.ledger.entries("upload")]
        accepted, refused = len(records.accepted()), len(records.refused())
    jobs = f"{len(pieces)} jobs and {len(bodies)} parts of at most {max(bodies):,} bytes"
    print(f"{count:,} contacts imported into the fake Eloqua, in {jobs}:")
    print(f"  {seconds:.1f} s of processor time, {peak} MB at the peak")
    print(
        f"  the server accepted {accepted:,} and refused {refused:,}; the files of rejects have {rejects:,}"
    )
    assert accepted + rejects == count


def cost(command: list[str], *, ends: int = 0) -> tuple[float, int, str]:
    """Run a command that ends with a code: seconds of processor time, megabytes at the peak, its words."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode()
    if process.returncode != ends:
        sys.exit(said)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, said


@contextmanager
def served() -> Iterator[str]:
    """Run the server that takes the bodies."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def send_file(folder: Path, megabytes: int, tries: int) -> None:
    large, small = folder / "large.csv", folder / "small.csv"
    rows_of(large, megabytes * 1_000_000)
    rows_of(small, 1)
    size, least = (path.stat().st_size / 1e6 for path in (large, small))
    print(f"A CSV of {size:,.0f} MB, the best of {tries}; net: less a CSV of {least:.0f} MB")
    with served() as url:
        commands: dict[str, list[str]] = {"requests": [sys.executable, "-c", REQUESTS, url]}
        for way, data in WAYS.items():
            definition = folder / f"{len(commands)}.json"
            definition.write_text(json.dumps(data))
            given = ["run", str(definition), "--base-url", url, "--set"]
            commands[way] = [sys.executable, "-c", OURS, *given]
        for way, command in commands.items():
            named = "" if way == "requests" else "rows="
            (seconds, peak, _), (base, _, _) = (
                min(cost([*command, f"{named}{path}"]) for _ in range(tries)) for path in (large, small)
            )
            print(
                f"  {way:<32}{seconds:>7.2f} s of processor time{seconds - base:>7.2f} s net"
                f"{peak:>7} MB at the peak"
            )
    large.unlink()


def cut_contacts(folder: Path, count: int) -> None:
    path = folder / "contacts.csv"
    contacts(path, count, ("email", "first", "note"))
    size = path.stat().st_size
    print(f"{count:,} contacts, {size / 1e6:,.0f} MB of CSV:")
    for format in ("json", "csv"):
        for reads, what in (("no", "planned"), ("yes", "planned, and all bodies made")):
            started = time.perf_counter()
            seconds, peak, said = cost([sys.executable, "-c", CUT, str(path), format, reads])
            wall = time.perf_counter() - started
            total, parts = map(int, said.split())
            assert total == count
            print(
                f"  as {format:<5}{what:<30}{seconds:>7.1f} s of processor time{wall:>7.1f} s in all"
                f"{total / seconds:>12,.0f} records/s{peak:>7} MB at the peak{parts:>6} parts"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--tries", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        send_file(Path(folder), given.megabytes, given.tries)
        cut_contacts(Path(folder), given.records)
        import_contacts(Path(folder), given.records)


if __name__ == "__main__":
    main()
