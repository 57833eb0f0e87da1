"""Passes its stdin and stdout on to a port: python pass_on.py HOST PORT."""

import socket
import sys
import threading

stdin, stdout = open(0, "rb", buffering=0), open(1, "wb", buffering=0)  # noqa: SIM115 - until the end of the process
line = socket.create_connection((sys.argv[1], int(sys.argv[2])))


def send():
    while data := stdin.read(1 << 16):
        line.sendall(data)
    line.shutdown(socket.SHUT_WR)


threading.Thread(target=send, daemon=True).start()
while data := line.recv(1 << 16):
    stdout.write(data)
