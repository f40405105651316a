"""Controls of the reference. Comes to `bridge.py` when a file first has one; its names are there.

What a control is given is one object for the whole run, as in the reference: what it changes there, the run hears of.
"""


class Told:
    experiment = None


class Registry:
    """Where controls register who hears of events."""

    def __init__(self):
        self.handlers = []

    def register(self, handler):
        self.handlers.append(handler)


REGISTRY = Registry()


def experiment_of(request):
    if "experiment" in request:
        Told.experiment = request["experiment"]
    return Told.experiment


def within(experiment, context):
    """A part of the experiment, as the object that stands there."""
    if not isinstance(experiment, dict) or not isinstance(context, dict):
        return context
    hypothesis = experiment.get("steady-state-hypothesis") or {}
    parts = [hypothesis]
    for activities in (hypothesis.get("probes"), experiment.get("method"), experiment.get("rollbacks")):
        parts.extend(activities or [])
    same = [part for part in parts if part == context]
    return same[0] if len(same) == 1 else context


def changed(given, before):
    """What is other than before, as it is now."""
    return {name: value for name, value in given.items() if text(value) != before[name]}


def offers(request):
    """Which of these functions a module has; nothing if there is no such module."""
    try:
        module = load(request["module"])
    except ImportError:
        debug(f"there is no control module {request['module']}")
        return None
    return [name for name in request["functions"] if getattr(module, name, None)]


def configure(request):
    given = {"experiment": experiment_of(request), "configuration": request["configuration"], "secrets": request["secrets"]}
    before = {name: text(value) for name, value in given.items()}
    kept = True
    try:
        func = getattr(load(request["module"]), "configure_control")
        arguments = request["arguments"]
        for name, value in dict(given, settings=request["settings"], event_registry=REGISTRY).items():
            if name in parameters(func):
                arguments[name] = value
        func(**arguments)
    except Exception:
        debug(f"control {request['module']} could not be configured")
        kept = False
    return {"kept": kept, "hears": bool(REGISTRY.handlers), "changed": changed(given, before)}


def control(request):
    experiment = experiment_of(request)
    context = within(experiment, request["context"]) if "context" in request else experiment
    given = {
        "secrets": request["secrets"],
        "configuration": request["configuration"],
        "state": request["state"],
        "experiment": experiment,
    }
    seen = given if context is experiment else dict(given, context=context)
    before = {name: text(value) for name, value in seen.items()}
    interrupted = None
    try:
        func = getattr(load(request["module"]), request["function"])
        names, arguments = parameters(func), request["arguments"]
        for name, value in dict(given, settings=request["settings"]).items():
            if name in names:
                arguments[name] = value
        if "extensions" in names:
            arguments["extensions"] = experiment.get("extensions")
        func(context=context, **arguments)
    except Exception as error:
        if interrupts(error):
            interrupted = str(error)
        else:
            debug(f"control {request['module']}.{request['function']} failed")
    return {"interrupted": interrupted, "changed": changed(seen, before)}


def cleanup(request):
    try:
        getattr(load(request["module"]), "cleanup_control")()
    except Exception as error:
        print(f"control {request['module']} could not clean up: {type(error).__name__}: {error}", file=sys.stderr)


def validate(request):
    """What a control says against what the file says of it."""
    name = request["control"]["provider"]["module"]
    try:
        module = load(name)
    except ImportError as error:
        print(f"there is no Python module `{name}` ({error}): the experiment runs without this control", file=sys.stderr)
        return []
    except Exception as error:
        return [["module", f"the Python module `{name}` cannot be imported: {type(error).__name__}: {error}"]]
    try:
        if getattr(module, "validate_control", None):
            module.validate_control(request["control"])
    except Exception as error:
        known = type(error).__module__ == "chaoslib.exceptions"
        return [["arguments", str(error) if known else f"`{name}` refuses it: {type(error).__name__}: {error}"]]
    return []


def schedule(frequency, fail_fast):
    """As the reference gives it to handlers."""
    try:
        kind = import_module("chaoslib.types").Schedule
    except ImportError:
        from types import SimpleNamespace as kind
    return kind(continuous_hypothesis_frequency=frequency, fail_fast=fail_fast, fail_fast_ratio=0)


def event(request):
    arguments = [Told.experiment, *request["arguments"]] if request["experiment"] else request["arguments"]
    if request["event"] == "running":
        arguments[4] = schedule(*arguments[4])
    for handler in REGISTRY.handlers:
        try:
            getattr(handler, request["event"])(*arguments)
        except Exception:
            debug(f"{type(handler).__name__} failed at {request['event']}")


ASKED.update(offers=offers, configure=configure, control=control, cleanup=cleanup, validate=validate, event=event)
