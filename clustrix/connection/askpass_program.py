"""The program that ssh starts when it has a question: hands it to the client that started ssh, and prints the answer.

It stands alone: ssh runs it with the client's Python, and nothing of clustrix is imported.
"""

import os
import sys
import time
from multiprocessing.connection import Client


def main() -> int:
    question = sys.argv[1] if len(sys.argv) > 1 else ""
    kind = os.environ.get("SSH_ASKPASS_PROMPT", "")
    address = ("127.0.0.1", int(os.environ["CLUSTRIX_ASKPASS_PORT"]))
    with Client(address, authkey=os.environ["CLUSTRIX_ASKPASS_KEY"].encode()) as client:
        client.send_bytes(f"{kind}\n{question}".encode())
        answer = client.recv_bytes()
    if kind == "none":
        while True:  # a notice, which ssh ends when what it is about has been done
            time.sleep(60)
    if not answer:
        return 1
    sys.stdout.buffer.write(answer[1:] + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
