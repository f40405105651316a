"""Channels of the settings that are functions. Comes to `bridge.py` when there is one; its names are there."""


def notify(request):
    """Tells a channel; gives why it could not be told, or nothing."""
    channel, event = request["channel"], request["event"]
    module, name = channel.get("module"), channel.get("func", "notify")
    if not isinstance(module, str) or not module:
        return "a channel of type plugin needs `module`: the name of a Python module"
    if "raised" in request:
        kind, message = request["raised"]
        event["error"] = chaoslib_exception(kind)(message)
    try:
        loaded = load(module)
    except Exception as error:
        return f"the Python module `{module}` cannot be imported: {error}"
    import inspect

    func = dict(inspect.getmembers(loaded, inspect.isfunction)).get(name)
    if func is None:
        return f"the Python module `{module}` has no function `{name}`"
    try:
        func(channel, event)
    except Exception as error:
        debug(f"{module}.{name} failed")
        return f"`{module}.{name}` failed: {type(error).__name__}: {error}"


ASKED.update(notify=notify)
