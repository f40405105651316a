"""A control that fails, or interrupts, at the call that it is told."""

from chaoslib.exceptions import InterruptExecution


def do(at, here, how):
    if at != here:
        return
    with open("trace", "a") as file:
        file.write(f"{here}\n")
    if how == "interrupt":
        raise InterruptExecution(f"interrupted at {here}")
    if how == "exit":
        raise SystemExit(1)
    if how == "exit without rollbacks":
        raise SystemExit(30)
    raise RuntimeError(f"broke at {here}")


def configure_control(at, how="raise"):
    do(at, "configure", how)


def before_experiment_control(context, at, how="raise"):
    do(at, "before experiment", how)


def after_experiment_control(context, at, how="raise"):
    do(at, "after experiment", how)


def before_hypothesis_control(context, at, how="raise"):
    do(at, "before hypothesis", how)


def after_hypothesis_control(context, at, how="raise"):
    do(at, "after hypothesis", how)


def before_method_control(context, at, how="raise"):
    do(at, "before method", how)


def after_method_control(context, at, how="raise"):
    do(at, "after method", how)


def before_rollback_control(context, at, how="raise"):
    do(at, "before rollback", how)


def after_rollback_control(context, at, how="raise"):
    do(at, "after rollback", how)


def before_activity_control(context, at, how="raise"):
    do(at, f"before {context['name']}", how)


def after_activity_control(context, at, how="raise"):
    do(at, f"after {context['name']}", how)
