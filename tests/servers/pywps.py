"""A real PyWPS with the processes of birdhouse-emu: OGC Web Processing Service 1.0, in XML."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from airflow_asyncjob.testing.processes import ProcessFamily, free_port
from tests.servers.environments import environment


@dataclass(frozen=True)
class Pywps:
    """A running server.

    :param url: where it answers, without a path.
    :param outputs: the folder of its status documents and results.
    """

    url: str
    outputs: Path

    def jobs(self) -> set[str]:
        """Tell the addresses of the status documents of all jobs."""
        return {f"{self.url}/outputs/{path.name}" for path in self.outputs.glob("*.xml")}


@contextmanager
def running_pywps(folder: Path) -> Iterator[Pywps]:
    """Start PyWPS.

    :param folder: for its database, status documents and results; made when it is missing.
    :raises CannotInstall: its packages cannot be had here.
    """
    programs = environment("pywps")
    outputs = folder / "outputs"
    outputs.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    family = ProcessFamily(folder)
    try:
        family.start(
            "pywps",
            [
                *(
                    programs / "emu",
                    "start",
                    "-b",
                    "127.0.0.1",
                    "--hostname",
                    "127.0.0.1",
                    "--port",
                    str(port),
                ),
                *("--outputpath", outputs, "--outputurl", f"{url}/outputs"),
                *("--database", f"sqlite:///{folder}/pywps.db", "--parallelprocesses", "8"),
            ],
            cwd=folder,
        )
        asked = {"service": "WPS", "request": "GetCapabilities"}
        family.wait_ready("pywps", lambda: httpx.get(f"{url}/wps", params=asked).is_success, timeout=180)
        yield Pywps(url, outputs)
    finally:
        family.stop()
