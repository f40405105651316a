"""Reads Kubernetes objects from YAML files, looks whether each fits the schemas of Kubernetes, and prints them as JSON.

Called with the versions of Kubernetes (1.30,1.37) and the files. It prints one JSON object: per file its objects, and
what was found. A text in a ConfigMap whose key ends with .yaml becomes what it says, so that two can be compared.
"""

import json
import sys

import yaml
from kubernetes_validate import utils

# Kinds that Kubernetes itself does not have.
NOT_OF_KUBERNETES = {"monitoring.coreos.com/v1"}


class UniqueKeys(yaml.SafeLoader):
    """The API server's clients refuse a key that is there twice; yaml.SafeLoader takes the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"twice in one mapping: {', '.join(sorted(twice))}", node.start_mark
            )
        return super().construct_mapping(node, deep)


# Each schema file has megabytes of definitions that all of a version share.
read = utils.schema_contents
seen = {}


def read_once(name, version):
    if name not in seen:
        seen[name] = read(name, version)
    return seen[name]


utils.schema_contents = read_once


def fits(value, versions):
    """Yields what is wrong with an object, by the schemas of each version, unknown fields too."""
    if value["apiVersion"] in NOT_OF_KUBERNETES:
        return
    for version in versions:
        try:
            utils.validate(value, version, strict=True)
        except utils.ValidationError as error:
            where = ".".join(str(step) for step in error.path)
            yield f"Kubernetes {version}: {where}: {error.message}"
        except utils.SchemaNotFoundError as error:
            yield f"Kubernetes {version}: {error.message}"


def main():
    versions = sys.argv[1].split(",")
    files = {}
    findings = []
    for name in sys.argv[2:]:
        try:
            with open(name, encoding="utf-8") as file:
                values = [value for value in yaml.load_all(file, Loader=UniqueKeys) if value]
        except yaml.YAMLError as error:
            findings.append({"file": name, "sentence": f"no YAML: {' '.join(str(error).split())}"})
            values = []
        for value in values:
            who = f"{value.get('kind')} {value.get('metadata', {}).get('name')}"
            for wrong in fits(value, versions):
                findings.append({"file": name, "sentence": f"{who}: {wrong}"})
            if value.get("kind") == "ConfigMap":
                data = value.get("data") or {}
                for key in data:
                    if key.endswith(".yaml"):
                        data[key] = yaml.load(data[key], Loader=UniqueKeys)
        files[name] = values
    json.dump({"files": files, "findings": findings}, sys.stdout)


main()
