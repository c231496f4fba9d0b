"""The bytes of a file for every client, from memory: raw_socket.py PORT FILE."""

import socket
import sys
from pathlib import Path

body = Path(sys.argv[2]).read_bytes()
head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            if connection.recv(65536):
                connection.sendall(head)
                connection.sendall(body)
