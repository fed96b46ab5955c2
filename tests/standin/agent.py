"""The ECS agent's introspection API on port 51678, as in the agent's source.

Any method is served, there is no token, and the response to an unknown path is 200 with the list of commands, so that a typo
in a path looks like success. The stand-in does the same, and marks the request as unexpected.
"""

from urllib.parse import parse_qs, urlsplit

from .answers import as_json, text

COMMANDS = {"AvailableCommands": ["/v1/metadata", "/v1/tasks", "/license"]}
NO_TASK = {"Arn": "", "KnownStatus": "", "Family": "", "Version": "", "Containers": None}
VERSION = "Amazon ECS Agent - v1.105.1 (8dfceca6)"
#: What the agent logs when an unknown task is requested.
ERROR_LINES = 2


def describe(task):
    """One task of /v1/tasks; DesiredStatus is what the agent leaves of it."""
    return {
        "Arn": task.arn,
        "DesiredStatus": task.desired_status(),
        "KnownStatus": task.status(),
        "Family": task.family,
        "Version": str(task.revision),
        "Containers": [task.container(each) for each in task.listed()],
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
        return as_json({"Tasks": [describe(task) for task in self.instance.known()]})

    def task(self, request):
        query = parse_qs(urlsplit(request.path).query)
        if len(query) != 1:
            return as_json(NO_TASK, 400)
        wanted = query.get("taskarn", query.get("dockerid"))[0]
        for task in map(describe, self.instance.known()):
            if wanted == task["Arn"] or any(each["DockerId"].startswith(wanted) for each in task["Containers"]):
                return as_json(task)
        self.instance.error_lines += ERROR_LINES
        return as_json(NO_TASK, 404)

    def license(self, _):
        return text("Apache License 2.0")

    def commands(self, _):
        return as_json(COMMANDS)
