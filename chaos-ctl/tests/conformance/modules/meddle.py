"""A control that changes what it is given."""


def configure_control(experiment, configuration):
    experiment["configured"] = True
    configuration["from_configure"] = "configured"


def before_experiment_control(context, configuration, secrets):
    configuration["from_control"] = 7
    configuration["word"] = "changed"
    if secrets:
        next(iter(secrets.values()))["added"] = "by the control"
    context["title"] += ", changed"
    context["method"].append(
        {
            "type": "probe",
            "name": "added",
            "provider": {"type": "python", "module": "acts", "func": "give", "arguments": {"value": "${from_control}"}},
        }
    )


def before_activity_control(context, experiment):
    if context["name"] == "told":
        context["provider"]["arguments"]["value"] = "by the control"
        context["mark"] = "before"
        experiment["seen"] = context["name"]


def after_activity_control(context, state):
    state["mark"] = "after"
    if context["name"] == "judged":
        state["output"] = 5


def after_experiment_control(context, state):
    state["mark"] = "at the end"
    state["deviated"] = True
