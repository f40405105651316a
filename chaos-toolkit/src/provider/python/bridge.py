"""Runs in the user's Python: does what the run asks for, one JSON object a line, and answers when it is done.

It needs nothing but Python 3.8. Extensions bring chaoslib, or do not; where the reference would have done something to it
before they run, so does this. What is not always needed is imported where it is, and other parts of this program come when they
are asked for: the first probe waits for this file.
"""
import json
import os
import signal
import sys
import threading
from _queue import SimpleQueue
from _thread import start_new_thread
from importlib import import_module

# `ANSWERS` and `REQUESTS` are made by whoever starts this file: both ends of one socket.
PROCESS = os.getpid()
WRITING = threading.Lock()
WAITING = SimpleQueue()
CANCELLED = set()
LEAVING = threading.Lock()
FUNCTION = type(lambda: None)
BUILTIN = type(len)


class State:
    current = None  # the request that has the main thread
    threads = {}  # those that have one of their own
    expected = False  # whether SIGINT is ours
    settings = None  # as in the settings file
    logs = False  # whether messages of "chaostoolkit" are shown
    level = "INFO"


class ActivityFailed(Exception):
    """The reference's: its name is in the journal, whether chaoslib is here or not."""


ActivityFailed.__module__ = "chaoslib.exceptions"


def chaoslib_exception(name):
    """The class of this name in chaoslib; where that is not here, nobody can look for it, and any will do."""
    try:
        return getattr(import_module("chaoslib.exceptions"), name)
    except (ImportError, AttributeError):
        return type(name, (Exception,), {"__module__": "chaoslib.exceptions"})


def interrupts(error):
    return any(c.__name__ == "InterruptExecution" and c.__module__ == "chaoslib.exceptions" for c in type(error).__mro__)


# What goes over the socket.


def representation(value):
    try:
        return repr(value)
    except Exception:
        return object.__repr__(value)


def foreign(value, notes):
    """A value that JSON has no word for: as the reference's journal has it, or else its representation."""
    dates, decimals, ids = (sys.modules.get(name) for name in ("datetime", "decimal", "uuid"))
    if dates and isinstance(value, dates.date):
        return value.isoformat()
    if decimals and isinstance(value, decimals.Decimal) or ids and isinstance(value, ids.UUID):
        return str(value)
    notes.add(type(value).__qualname__)
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "backslashreplace")
    return representation(value)


def plain(value, notes, around=()):
    """The same value with nothing in it that JSON has no word for: no key but texts, no cycles, no infinity."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        notes.add("float that is no number")
        return representation(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    if not isinstance(value, (dict, list, tuple)):
        return foreign(value, notes)
    if id(value) in around or len(around) > 100:
        notes.add("value in itself" if id(value) in around else "value too deep")
        return "..."
    around = (*around, id(value))
    if not isinstance(value, dict):
        return [plain(item, notes, around) for item in value]
    return {
        key if key is None or isinstance(key, (str, int, float)) else representation(key): plain(item, notes, around)
        for key, item in value.items()
    }


def text(value, of=None):
    """A value as JSON; says so where something of it is lost."""
    notes = set()
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False, default=lambda lost: foreign(lost, notes))
    except (TypeError, ValueError, RecursionError):
        written = json.dumps(plain(value, notes), ensure_ascii=False)
    if notes and of:
        what = ", ".join(sorted(notes))
        print(f"{of} gave what JSON has no word for ({what}): the journal keeps how Python shows it", file=sys.stderr)
    return written


def send(number, kind, written):
    # A surrogate alone is no text for others.
    line = memoryview(f"{number} {kind} {written}\n".encode("utf-8", "replace"))
    with WRITING:
        try:
            while line:
                line = line[os.write(ANSWERS, line) :]
        except OSError:
            os._exit(1)  # nobody listens any more


# What surrounds user code in the reference.


class Logzero(type(sys)):
    """Old extensions log through this module; the reference puts its own logger there."""

    __path__ = []

    def __getattr__(self, name):
        if name != "logger":
            raise AttributeError(name)
        import logging

        return logging.getLogger("chaostoolkit")


def show_logs():
    """Shows what extensions log, once there is logging: most import it."""
    if State.logs or "logging" not in sys.modules:
        return
    State.logs = True
    import logging

    logger = logging.getLogger("chaostoolkit")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("[%(asctime)s %(levelname)s] %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(State.level)
    logger.propagate = False


def debug(message):
    """For errors that the reference hides as well unless asked."""
    if State.level == "DEBUG":
        import logging

        show_logs()
        logging.getLogger("chaostoolkit").debug(message, exc_info=True)


def load(name):
    show_logs()
    try:
        return import_module(name)
    finally:
        show_logs()


OFFERED = ("secrets", "configuration")  # what activities may ask for by name


def parameters(func):
    """The names of a function's parameters; of one that Python brings, those that matter."""
    if type(func) is FUNCTION and not func.__dict__:
        # What inspect would say, without the time it takes to import it.
        code = func.__code__
        stars = bool(code.co_flags & 4) + bool(code.co_flags & 8)
        return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + stars]
    if type(func) is BUILTIN and func.__text_signature__ and not any(name in func.__text_signature__ for name in OFFERED):
        return ()
    import inspect

    return inspect.signature(func).parameters


# What can be asked for.


def setup(request):
    """Comes first: what the program knew before the experiment."""
    State.level = "DEBUG" if request["verbose"] else "INFO"
    sys.modules.setdefault("logzero", Logzero("logzero"))
    State.settings = request["settings"]
    if State.settings is not None:
        try:
            import_module("chaoslib.settings").loaded_settings.set(State.settings)
        except ImportError:
            pass


def call(request):
    """Calls a function, in the order in which the reference looks at each thing."""
    func = getattr(load(request["module"]), request["func"])
    arguments = request["arguments"].copy()
    names = parameters(func)
    if "names" in request and "secrets" in names:
        arguments["secrets"] = {}
        for name in request["names"]:
            arguments["secrets"].update(request["secrets"].get(name, {}))
    if "configuration" in names:
        arguments["configuration"] = request["configuration"]
    try:
        return func(**arguments)
    except Exception as error:
        import traceback

        words = traceback.format_exception_only(type(error), error)[0].strip()
        raise ActivityFailed(words).with_traceback(error.__traceback__)


ASKED = {"setup": setup, "call": call}

# Who does it, and how it ends.


def outcome(error):
    if isinstance(error, SystemExit):
        return "exited", {"code": error.code, "message": f"Python code left with {representation(error.code)}"}
    if isinstance(error, KeyboardInterrupt):
        return "exited", {"code": None, "message": "Python code was interrupted"}
    if interrupts(error):
        return "interrupted", {"message": str(error)}
    import traceback

    kind = "failed" if isinstance(error, ActivityFailed) else "crashed"
    message = str(error) if kind == "failed" else traceback.format_exception_only(type(error), error)[0].strip()
    trace = traceback.format_exception(type(error), error, None if kind == "failed" else error.__traceback__)
    return kind, {"message": message, "trace": trace}


def answer(request):
    number, main = request["id"], request["thread"] == "main"
    kind, value = "exited", None
    try:
        try:
            if main:
                State.current = number
            if number in CANCELLED:
                raise KeyboardInterrupt
            kind, value = "done", ASKED[request["op"]](request)
        finally:
            if main:
                State.current = None
    except BaseException as error:
        if main:
            State.current = None
        kind, value = outcome(error)
    CANCELLED.discard(number)
    if not main:
        left(number)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    if os.getpid() != PROCESS:
        # User code forked, and its child came back as well: the run is its parent's.
        os._exit(value["code"] if kind == "exited" and isinstance(value["code"], int) else 0)
    try:
        of = [request[key] for key in ("module", "func", "function") if key in request]
        written = text(value, ".".join(of) or request["op"])
    except BaseException as error:
        kind, written = "crashed", json.dumps({"message": f"its result cannot be written: {error}", "trace": []})
    send(number, kind, written)


def cancel(number):
    CANCELLED.add(number)
    if number == State.current:
        # A true signal also ends what waits in the kernel.
        State.expected = True
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        leave([number])


def leave(numbers):
    """What the reference does to activities in the background that nobody waits for any more."""
    import ctypes

    error = ctypes.py_object(chaoslib_exception("ExperimentExitedException"))
    with LEAVING:
        for number in numbers:
            if number in State.threads:
                ident = ctypes.c_ulong(State.threads[number].ident)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, error)


def left(number):
    """From here on nothing is raised in this thread, so that its answer is written whole."""
    while True:
        try:
            with LEAVING:
                State.threads.pop(number, None)
            for _ in range(3):
                pass  # what was raised by now arrives here
            return
        except BaseException:
            continue


def on_signal(number, frame):
    """As the reference's handlers, while user code has the main thread; else the run has to hear of it."""
    current = State.current
    if number == signal.SIGINT and State.expected:
        State.expected = False
        if current not in CANCELLED:
            return  # it was over before the signal came
    if current is None:
        if number != signal.SIGTERM:
            # Not here: the signal may have come while an answer is being written.
            start_new_thread(send, (0, "signal", json.dumps(signal.Signals(number).name)))
        return
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    if number == signal.SIGTERM:
        raise chaoslib_exception("InterruptExecution")("SIGTERM signal received")
    raise SystemExit(20 if number == signal.SIGUSR1 else 30)


def read():
    for line in REQUESTS:
        request = json.loads(line)
        if request["op"] == "cancel":
            cancel(request["of"])
        elif request["op"] == "environment":
            os.environ.update(request["variables"])
        elif request["op"] == "learn":
            exec(compile(request["code"], "<chaosctl>", "exec"), globals())
        elif request["op"] == "leave":
            leave(list(State.threads))
        elif request["op"] == "close":
            return WAITING.put(None)
        elif request["thread"] == "main":
            WAITING.put(request)
        else:
            thread = threading.Thread(target=answer, args=(request,), daemon=True)
            State.threads[request["id"]] = thread
            thread.start()
    os._exit(1)  # the run is gone without a word


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, on_signal)
    os.register_at_fork(after_in_child=lambda: os.close(ANSWERS))
    if not getattr(sys.flags, "safe_path", False):
        # As a program of this Python has it: the folder of programs, not the current one.
        sys.path[0] = os.path.dirname(sys.executable)
    threading.Thread(target=read, daemon=True).start()
    while True:
        request = WAITING.get()
        if request is None:
            return
        answer(request)


main()
