"""A control whose handler of events writes down what it hears, in the file `trace`."""

from chaoslib.run import RunEventHandler


def name(part):
    return part.get("name", part.get("title"))


def outline(journal):
    states = journal["steady_states"]
    met = [states[when] and states[when]["steady_state_met"] for when in ("before", "after")]
    return [journal["status"], journal["deviated"], met, runs(journal["run"]), runs(journal["rollbacks"])]


def runs(of):
    return [f"{run['activity']['name']} {run.get('status')}" for run in of or []]


class Handler(RunEventHandler):
    def running(self, experiment, journal, configuration, secrets, schedule, settings):
        how = [schedule.continuous_hypothesis_frequency, schedule.fail_fast, schedule.fail_fast_ratio]
        write("running", name(experiment), configuration, secrets, how, settings["own"], runs(journal["run"]))

    def finish(self, journal):
        write("finish", outline(journal))

    def interrupted(self, experiment, journal):
        write("interrupted", name(experiment), outline(journal))

    def signal_exit(self):
        write("signal exit")

    def start_continuous_hypothesis(self, frequency):
        write("start continuous", frequency)

    def continuous_hypothesis_iteration(self, iteration_index, state):
        if iteration_index == 1:
            write("continuous", state["steady_state_met"])

    def continuous_hypothesis_completed(self, experiment, journal, exception=None):
        write("continuous completed", name(experiment), len(journal["steady_states"]["during"]) > 0, exception)

    def start_hypothesis_before(self, experiment):
        write("start before", name(experiment))

    def hypothesis_before_completed(self, experiment, state, journal):
        write("before", name(experiment), state["steady_state_met"], outline(journal))

    def start_hypothesis_after(self, experiment):
        write("start after", name(experiment))

    def hypothesis_after_completed(self, experiment, state, journal):
        write("after", name(experiment), runs(state["probes"]), outline(journal))

    def start_method(self, experiment):
        write("start method", name(experiment))

    def method_completed(self, experiment, state):
        write("method", name(experiment), runs(state))

    def start_rollbacks(self, experiment):
        write("start rollbacks", name(experiment))

    def rollbacks_completed(self, experiment, journal):
        write("rollbacks", name(experiment), outline(journal))

    def start_activity(self, activity):
        write("start", name(activity))

    def activity_completed(self, activity, run):
        write("end", name(activity), run["status"])


def write(*what):
    with open("trace", "a") as file:
        print(*what, file=file)


def configure_control(event_registry):
    event_registry.register(Handler())
