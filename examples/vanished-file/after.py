"""Serves the time that it has written to a file, and says so where there is none for the moment."""

import datetime
import os
import threading
import time
from wsgiref.simple_server import make_server

FILE = "exchange.dat"
EVERY = float(os.environ.get("EVERY", "10"))
PORT = int(os.environ.get("PORT", "8080"))


def write():
    with open(FILE, "w") as file:
        file.write(datetime.datetime.now().isoformat() + "\n")


def keep_writing():
    while True:
        time.sleep(EVERY)
        write()


def application(request, start_response):
    headers = [("Content-Type", "text/plain")]
    try:
        with open(FILE, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        start_response("503 Service Unavailable", headers + [("Retry-After", "10")])
        return [b"no time to tell yet\n"]
    start_response("200 OK", headers)
    return [content]


if __name__ == "__main__":
    write()
    threading.Thread(target=keep_writing, daemon=True).start()
    make_server("127.0.0.1", PORT, application).serve_forever()
