"""A server of canned replies, for what a real one says only on bad days."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

Reply = bytes | None


class FakeServer:
    """Answers each command with what ``says(words, connection)`` gives; None closes the connection."""

    def __init__(self, says: Callable[[list[bytes], int], Reply]) -> None:
        self.says, self.connections = says, 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        try:
            while True:
                connection, _ = self._socket.accept()
                index, self.connections = self.connections, self.connections + 1
                threading.Thread(target=self._serve, args=(connection, index), daemon=True).start()
        except OSError:
            return

    def _serve(self, connection: socket.socket, index: int) -> None:
        file = connection.makefile("rb")
        try:
            while line := file.readline():
                words = [self._word(file) for _ in range(int(line[1:]))]
                set_up = words[0] in (b"CLIENT", b"SELECT")
                reply = b"+OK\r\n" if set_up else self.says([words[0].upper(), *words[1:]], index)
                if reply is None:
                    break
                connection.sendall(reply)
        except OSError:
            pass
        finally:
            file.close()
            connection.close()

    @staticmethod
    def _word(file) -> bytes:
        word = file.read(int(file.readline()[1:]))
        file.read(2)
        return word


def healthy(words: list[bytes], connection: int = 0) -> bytes:
    """What an empty server that takes everything says."""
    if words[0] == b"HMGET":
        return b"*%d\r\n" % (len(words) - 2) + b"$-1\r\n" * (len(words) - 2)
    replies = {b"HGET": b"$-1\r\n", b"GET": b"$-1\r\n", b"HLEN": b":0\r\n", b"HSET": b"+QUEUED\r\n"}
    return replies.get(words[0], b"*2\r\n:1\r\n:1\r\n" if words[0] == b"EXEC" else b"+OK\r\n")
