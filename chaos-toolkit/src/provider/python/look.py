"""What can be found out before anything runs. Comes to `bridge.py` when it is first asked for; its names are there."""


def near(name, names):
    import difflib

    return difflib.get_close_matches(name, names, 1)


def check(request):
    """What is wrong with a call, before it is made: pairs of a provider's key and what is wrong there."""
    module, func = request["module"], request["func"]
    try:
        loaded = load(module)
    except ImportError as error:
        missing = getattr(error, "name", None)
        if isinstance(error, ModuleNotFoundError) and missing and (module == missing or module.startswith(missing + ".")):
            hint = f"install it for {sys.executable}, or name its folder in PYTHONPATH"
            return [["module", f"Python has no module `{module}`: {hint}"]]
        return [["module", f"the Python module `{module}` cannot be imported: {error}"]]
    except Exception as error:
        return [["module", f"the Python module `{module}` cannot be imported: {type(error).__name__}: {error}"]]
    import inspect

    functions = dict(inspect.getmembers(loaded, inspect.isfunction) + inspect.getmembers(loaded, inspect.isbuiltin))
    if func not in functions:
        what = f"the Python module `{module}` has no function `{func}`"
        if hasattr(loaded, func):
            what = f"`{func}` of the Python module `{module}` is no function"
        meant = near(func, functions)
        return [["func", what + (f"; did you mean `{meant[0]}`?" if meant else "")]]
    try:
        signature = inspect.signature(functions[func])
    except ValueError:
        return [["func", f"Python does not know which arguments `{module}.{func}` takes"]]
    arguments = dict(request["arguments"])
    for given in ("secrets", "configuration"):
        if given in signature.parameters:
            arguments[given] = None
    try:
        signature.bind(**arguments)
        return []
    except TypeError as error:
        return unbound(f"{module}.{func}", signature, arguments) or [["arguments", f"`{module}.{func}`: {error}"]]


def unbound(name, signature, arguments):
    """Each argument that is missing, and each that is too many."""
    takes = {
        known: parameter
        for known, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    flaws = [
        ["arguments", f"`{name}` needs the argument `{known}`, which is missing"]
        for known, parameter in takes.items()
        if parameter.default is parameter.empty and known not in arguments
    ]
    if all(parameter.kind != parameter.VAR_KEYWORD for parameter in signature.parameters.values()):
        for given in arguments:
            if given not in takes:
                meant = near(given, [known for known in takes if known not in arguments])
                hint = f"; did you mean `{meant[0]}`?" if meant else ""
                flaws.append(["arguments", f"`{name}` takes no argument `{given}`{hint}"])
    return flaws


def discover(request):
    """What an extension offers, as chaoslib finds it."""
    try:
        found = load("chaoslib.discovery").discover
    except ImportError as error:
        raise ActivityFailed(f"discovery is done by chaoslib: install it for {sys.executable} ({error})")
    # `pip` is the one beside this Python, not the first that the shell knows.
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join((os.path.dirname(sys.executable), path))
    try:
        return found(request["package"], discover_system=request["system"], download_and_install=request["install"])
    except chaoslib_exception("DiscoveryFailed") as error:
        raise ActivityFailed(str(error))
    finally:
        os.environ["PATH"] = path


ASKED.update(check=check, discover=discover)
