"""Reads manifests as YAML and prints them as JSON, with what the schemas of Kubernetes say of them.

usage: manifests.py [VERSION...] < manifests.yaml

The schemas are strict: a key that they do not know is wrong. Kinds that extensions of Kubernetes
bring are not in them.
"""

import json
import sys

import kubernetes_validate
import yaml

EXTENSIONS = ("monitoring.coreos.com/", "external-secrets.io/")

documents = [document for document in yaml.safe_load_all(sys.stdin) if document]
wrong = []
for version in sys.argv[1:]:
    if version not in map(kubernetes_validate.utils.major_minor, kubernetes_validate.utils.all_versions()):
        wrong.append(f"there is no schema of Kubernetes {version}")
        continue
    for document in documents:
        if document["apiVersion"].startswith(EXTENSIONS):
            continue
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            where = "/".join(map(str, error.path))
            name = f"{document['kind']} {document['metadata']['name']}"
            wrong.append(f"Kubernetes {version}: {name}: /{where}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError as error:
            wrong.append(error.message)
json.dump({"documents": documents, "wrong": wrong}, sys.stdout)
