"""The ECS agent's introspection API on port 51678, as the agent's source has it.

Any method is served, there is no token, and an unknown path answers 200 with the list of commands, so that a typo in a
path looks like success. The stand-in answers so too, and marks the request as one that nobody expected.
"""

from urllib.parse import parse_qs, urlsplit

from .answers import as_json, text

COMMANDS = {"AvailableCommands": ["/v1/metadata", "/v1/tasks", "/license"]}
NO_TASK = {"Arn": "", "KnownStatus": "", "Family": "", "Version": "", "Containers": None}
VERSION = "Amazon ECS Agent - v1.105.1 (8dfceca6)"


def describe(task):
    """One task of /v1/tasks; DesiredStatus is what the agent leaves of it."""
    return {
        "Arn": task.arn,
        "DesiredStatus": "STOPPED" if task.status() == "STOPPED" else "RUNNING",
        "KnownStatus": task.status(),
        "Family": task.family,
        "Version": str(task.revision),
        "Containers": [task.container()],
    }


class Agent:
    def __init__(self, instance):
        self.instance = instance

    def operation(self, request):
        url = urlsplit(request.path)
        names = {"/v1/metadata": "metadata", "/v1/tasks": "task" if url.query else "tasks", "/license": "license"}
        return names.get(url.path)

    def answer(self, request):
        return getattr(self, request.operation or "commands")(request)

    def metadata(self, _):
        self.instance.announced = True
        return as_json({"Cluster": self.instance.cluster, "ContainerInstanceArn": self.instance.arn, "Version": VERSION})

    def tasks(self, _):
        return as_json({"Tasks": [describe(task) for task in self.instance.tasks if task.status()]})

    def task(self, request):
        query = parse_qs(urlsplit(request.path).query)
        if len(query) != 1:
            return as_json(NO_TASK, 400)
        wanted = query.get("taskarn", query.get("dockerid"))[0]
        for task in self.instance.tasks:
            if task.status() and (task.arn == wanted or task.container()["DockerId"].startswith(wanted)):
                return as_json(describe(task))
        return as_json(NO_TASK, 404)

    def license(self, _):
        return text("Apache License 2.0")

    def commands(self, _):
        return as_json(COMMANDS)
