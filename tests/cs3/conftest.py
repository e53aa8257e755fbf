"""A real Valkey or Redis server: the one that CS3BENCH_VALKEY_URL names, else one of our own, else a skip."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cs3.fake_server import FakeServer, Reply

BINARY = next((path for name in ("valkey-server", "redis-server") if (path := shutil.which(name))), None)


class Server:
    """A server of the tests' own on a spare loopback port, which can be killed and started again."""

    def __init__(self, folder: str) -> None:
        with socket.socket() as spare:
            spare.bind(("127.0.0.1", 0))
            self.port = spare.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self.socket = f"{folder}/s" if len(folder) < 90 else ""
        """Of the machine, whose paths are short; "" where the folder's is not."""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert BINARY is not None
        command = [BINARY, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder]
        command += ["--unixsocket", self.socket] if self.socket else []
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the test may kill."""
    pytest.importorskip("redis", reason="the client is not installed: pip install 'cs3-bench[server]'")
    if BINARY is None:
        pytest.skip("neither valkey-server nor redis-server is on PATH")
    server = Server(str(tmp_path_factory.mktemp("server")))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that all tests of the session share; each uses an arm of its own."""
    pytest.importorskip("redis", reason="the client is not installed: pip install 'cs3-bench[server]'")
    if url := os.environ.get("CS3BENCH_VALKEY_URL"):
        yield url
        return
    if BINARY is None:
        pytest.skip("CS3BENCH_VALKEY_URL is not set, and neither valkey-server nor redis-server is on PATH")
    server = Server(str(tmp_path_factory.mktemp("server")))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture
def fake() -> Iterator[Callable[[Callable[[list[bytes], int], Reply]], FakeServer]]:
    """Makes servers of canned replies."""
    pytest.importorskip("redis", reason="the client is not installed: pip install 'cs3-bench[server]'")
    made: list[FakeServer] = []

    def make(says: Callable[[list[bytes], int], Reply]) -> FakeServer:
        made.append(FakeServer(says))
        return made[-1]

    yield make
    for one in made:
        one.close()
