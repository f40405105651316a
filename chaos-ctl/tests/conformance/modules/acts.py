"""Activities of the cases. Nothing here knows which program calls it."""

import datetime
import decimal
import os
import threading
import time
import uuid

from chaoslib.exceptions import ActivityFailed, InterruptExecution

calls = 0


class Own(Exception):
    pass


def give(value=None):
    return value


def nothing():
    pass


def add(first, second=2):
    return first + second


def gather(*, here, **others):
    return {"here": here, "others": others}


def is_right(value=None, wanted=True):
    return value == wanted


def told(configuration, secrets=None):
    return {"configuration": configuration, "secrets": secrets}


def change_what_was_told(configuration, value):
    configuration["added"] = True
    value.append("changed")
    return value


def count():
    global calls
    calls += 1
    return calls


def where():
    return {
        "main": threading.current_thread() is threading.main_thread(),
        "directory": os.path.basename(os.getcwd()) != "",
    }


def say(text):
    print(text)
    os.write(1, b"straight to the descriptor\n")
    return len(text)


def fail(message="it failed"):
    raise ValueError(message)


def fail_own(message):
    raise Own(message)


def fail_from(message):
    try:
        {}["inner"]
    except KeyError as error:
        raise ValueError(message) from error


def fail_key():
    return {}["missing"]


def fail_as_activity(message):
    raise ActivityFailed(message)


def interrupt(message="enough"):
    raise InterruptExecution(message)


def leave(code):
    raise SystemExit(code)


def ctrl_c():
    raise KeyboardInterrupt()


def special():
    return {
        "date": datetime.date(2024, 2, 29),
        "time": datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
        "decimal": decimal.Decimal("1.10"),
        "uuid": uuid.UUID(int=5),
        "tuple": (1, "two", (3,)),
        "keys": {1: "int", None: "none", True: "bool", 1.5: "float"},
        "large": 10**30,
        "float": 1e300,
        "small": 1.0,
    }


def not_numbers():
    return [float("nan"), float("inf"), -float("inf")]


def an_object():
    return {"before": 1, "set": {1}}


def some_bytes():
    return b"bytes"


def kind(value):
    return type(value).__name__


async def later():
    return 1


def write(name, text):
    with open(name, "a") as file:
        file.write(text + "\n")
    return True


def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.01)
    return True


def mark_and_sleep(name, seconds=20):
    with open(name, "w"):
        pass
    time.sleep(seconds)


class Callable:
    def __init__(self, value=1):
        self.value = value


def lambda_like(value, /, other=1):
    return value
