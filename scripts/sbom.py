"""Makes the list of scripts/sbom.sh from the output of cargo-cyclonedx: sbom.py FILE TREE TARGET DIRECTORY

cargo-cyclonedx counts features that only tests turn on, and names where the sources lie. What `cargo tree`
(TREE) does not have is taken out, and so is the place. Ends with 1 if something of the tree is missing, or
if the list is not as the schema of CycloneDX says.
"""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def crates(tree):
    """Returns name and version of each crate; its path and "(*)" may follow in a line."""
    words = [line.split(" ") for line in tree.splitlines() if line]
    return {(name, version.removeprefix("v")) for name, version, *_ in words}


def crate(component):
    return component["name"], component["version"]


def without_place(document):
    program = document["metadata"]["component"]
    place = program["bom-ref"].split("#")[0]
    text = json.dumps(document).replace(place + "#", "").replace("?download_url=file://.", "")
    return json.loads(text)


def kept(document, wanted):
    """Returns the document with only the components in `wanted`, and no edges to others."""
    components = [it for it in document["components"] if crate(it) in wanted]
    references = {it["bom-ref"] for it in [document["metadata"]["component"], *components]}
    edges = [it for it in document["dependencies"] if it["ref"] in references]
    for edge in edges:
        edge["dependsOn"] = [to for to in edge.get("dependsOn", []) if to in references]
    return {**document, "components": components, "dependencies": edges}


def main(file, tree, target, directory):
    document = without_place(json.loads(Path(file).read_text()))
    program = crate(document["metadata"]["component"])
    wanted = crates(Path(tree).read_text()) - {program}
    document = kept(document, wanted)
    missing = wanted - {crate(it) for it in document["components"]}
    if missing or not wanted:
        sys.exit(f"sbom.py: missing of cargo tree: {sorted(missing) or 'everything'}")
    text = json.dumps(document, indent=2) + "\n"
    if wrong := JsonStrictValidator(SchemaVersion.V1_5).validate_str(text):
        sys.exit(f"sbom.py: not CycloneDX 1.5: {str(wrong).splitlines()[0]}")
    if str(Path.cwd()) in text:
        sys.exit("sbom.py: a path of this machine is in the list")
    path = Path(directory, f"{'-'.join([*program, target])}.cdx.json")
    path.write_text(text)
    print(f"{path}: {len(wanted)} crates")


if __name__ == "__main__":
    main(*sys.argv[1:])
