"""A control that writes down each call, in the file `trace`."""

import json


def note(what, context, state="not told", **more):
    if isinstance(context, dict):
        context = context.get("name", context.get("title"))
    if isinstance(state, dict):
        state = {key: state[key] for key in state if key in ("status", "output", "deviated", "steady_state_met")}
    elif isinstance(state, list):
        state = [run["activity"]["name"] for run in state]
    with open("trace", "a") as file:
        file.write(json.dumps([what, context, state, more]) + "\n")


def configure_control(configuration=None, secrets=None, experiment=None, settings=None, mark=None):
    note("configure", experiment, mark=mark, configuration=configuration, secrets=secrets)


def cleanup_control():
    note("cleanup", None)


def validate_control(control):
    note("validate", control)


def before_loading_experiment_control(context, mark=None):
    note("before loading", context, mark=mark)


def after_loading_experiment_control(context, state, mark=None):
    note("after loading", context, state.get("title"), mark=mark)


def before_experiment_control(context, configuration=None, mark=None, **others):
    note("before experiment", context, mark=mark, configuration=configuration, others=sorted(others))


def after_experiment_control(context, state, mark=None, **others):
    note("after experiment", context, state, mark=mark)


def before_hypothesis_control(context, mark=None, **others):
    note("before hypothesis", context, mark=mark)


def after_hypothesis_control(context, state, mark=None, **others):
    note("after hypothesis", context, state, mark=mark)


def before_method_control(context, mark=None, **others):
    note("before method", context, mark=mark)


def after_method_control(context, state, mark=None, **others):
    note("after method", context, state, mark=mark)


def before_rollback_control(context, mark=None, **others):
    note("before rollback", context, mark=mark)


def after_rollback_control(context, state, mark=None, **others):
    note("after rollback", context, state, mark=mark)


def before_activity_control(context, mark=None, extensions=None, **others):
    names = [extension["name"] for extension in extensions or []]
    note("before activity", context, mark=mark, extensions=names)


def after_activity_control(context, state, mark=None, **others):
    note("after activity", context, state, mark=mark)
