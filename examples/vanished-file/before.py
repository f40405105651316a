"""Serves the time that it has written to a file, and takes for granted that the file is there."""

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
    with open(FILE, "rb") as file:
        content = file.read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [content]


if __name__ == "__main__":
    write()
    threading.Thread(target=keep_writing, daemon=True).start()
    make_server("127.0.0.1", PORT, application).serve_forever()
