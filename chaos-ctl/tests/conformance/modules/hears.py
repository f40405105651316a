"""A channel of notifications that writes down what it hears, in the file `trace`."""


def notify(settings, event):
    with open("trace", "a") as file:
        file.write(f"{event['phase']} {event['name']} {event.get('error')}\n")
