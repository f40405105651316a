"""What tests call."""

import os, signal, sys, threading, time

HERE = os.path.dirname(__file__)

def give(value): return value
def boom(): raise ValueError("bäh \U0001f4a5\nzwei")
def chain():
    try: 1 / 0
    except Exception as error: raise KeyError("k") from error
def need(a): return a
def stars(*rest, **others): return others
def told(configuration, secrets): return [configuration, secrets]
def where(): return [os.getcwd(), os.environ.get("GIVEN"), sys.stdin.read()]
def paths(): return sys.path
def big(count): return "ä" * count
def loud():
    print("to stdout")
    os.system("echo to stdout; echo to stderr >&2")
    return os.popen("echo back").read()
def odd():
    import datetime, decimal, uuid
    return {"date": datetime.date(2026, 1, 2), "time": datetime.datetime(2026, 1, 2, 3, 4, 5, 6), "decimal": decimal.Decimal("1.50"),
            "id": uuid.UUID(int=1), "pair": (1, 2), 3: "three", None: None, True: 1}
def lossy(): return [{1}, b"bytes", float("nan"), float("inf"), {(1, 2): 3}, ValueError("x"), "\ud800", object]
def around():
    value = []
    value.append(value)
    return value
def deep(depth):
    value = None
    for _ in range(depth): value = [value]
    return value
def fork():
    if os.fork() == 0: return "child"
    return [os.wait()[1], "parent"]
def fork_and_stay():
    child = os.fork()
    if child == 0:
        signal.alarm(100)  # outlives no failed test
        signal.pause()
    return child
def sys_exit(code): sys.exit(code)
def die(code): os._exit(code)
def kill_self(name): os.kill(os.getpid(), getattr(signal, name)); return "went on"
def pid(): return os.getpid()
def thread(): return threading.current_thread() is threading.main_thread()
def touch(name): open(os.path.join(HERE, name), "w").close()
def wait(name):
    while not os.path.exists(os.path.join(HERE, name)): time.sleep(0.01)
def hang(name):
    try:
        touch(name)
        time.sleep(3600)
    except BaseException as error:
        open(os.path.join(HERE, "heard"), "w").write(type(error).__name__)
        raise
def stubborn(name):
    while True:
        try:
            touch(name)
            time.sleep(3600)
        except BaseException: pass
def busy(name):
    try:
        touch(name)
        while True: pass
    except BaseException as error:
        open(os.path.join(HERE, "heard"), "w").write(type(error).__name__)
        raise
together = threading.Barrier(20)
def meet(): together.wait(30); return threading.current_thread() is threading.main_thread()
number = 3
