"""docs_tree.py SOURCE-DIR [LEAT]: are the lists in the documents those of the tree?

Functions (docs/tour.md), files (docs/glossary.md, docs/reading-order.md), public headers (include/leat/leat.h), folders
(docs/design.md), environment variables (docs/failure-model.md), and the commands of the program LEAT (docs/command.md).
Prints each difference; exit status 1.
"""

import pathlib
import re
import subprocess
import sys

source = pathlib.Path(sys.argv[1])
differences = []


def text_of(path):
    return (source / path).read_text()


def compare(where, stated, found):
    stated, found = set(stated), set(found)
    differences.extend(f"{where}: '{name}' does not exist" for name in sorted(stated - found))
    differences.extend(f"{where}: '{name}' is not listed" for name in sorted(found - stated))


def expect(where, number, least, what, most=10000):
    if not least <= number <= most:
        differences.append(f"{where}: {number} {what}, expected {least} to {most}")


def check_tour():
    steps = re.findall(r"^ *(\w+) .*? ([\w/]+\.[ch])$", text_of("docs/tour.md"), re.M)
    expect("docs/tour.md", len(steps), 40, "steps")
    for function, path in steps:
        defined = (source / path).exists() and re.search(rf"^\w[^;\n]*\b{function}\(", text_of(path), re.M)
        if not defined:
            differences.append(f"docs/tour.md: {function} is not defined in {path}")


def check_glossary():
    rows = re.findall(r"^\| ([^|*]+) \| [^|]+ \| `([^`|]+)` \|$", text_of("docs/glossary.md"), re.M)
    expect("docs/glossary.md", len(rows), 25, "terms", most=50)
    for term, path in rows:
        if not (source / path).exists():
            differences.append(f"docs/glossary.md: {term}: {path} does not exist")


def check_reading_order():
    """Each document and each header of the library has its line."""
    index = text_of("docs/reading-order.md")
    documents = [*source.glob("docs/*.md"), *source.glob("docs/decisions/*.md")]
    headers = [path for folder in ("include", "lib", "channels") for path in (source / folder).rglob("*.h")]
    found = {str(path.relative_to(source)) for path in documents + headers} - {"docs/reading-order.md", "docs/performance.in.md"}
    linked = re.findall(r"\]\(([^)#]+)\)", index)
    compare("docs/reading-order.md", (str((source / "docs" / link).resolve().relative_to(source.resolve())) for link in linked), found)


def check_headers():
    listed = re.findall(r"^ \*     leat/(\w+\.h) +(.*)$", text_of("include/leat/leat.h"), re.M)
    core = text_of("include/leat/leat.h").split("Not included here:")[0]
    included = re.findall(r'^#include "leat/(\w+\.h)"', text_of("include/leat/leat.h"), re.M)
    there = {path.name for path in (source / "include/leat").glob("*.h")} - {"leat.h"}
    compare("include/leat/leat.h, list", (name for name, _ in listed), there)
    compare("include/leat/leat.h, included", re.findall(r"^ \*     leat/(\w+\.h) ", core, re.M), included)


def check_folders():
    table = text_of("docs/design.md").split("| folder |")[1].split("\n\n")[0]
    stated = re.findall(r"`([\w/]+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))
    tops = ("include", "lib", "channels", "tools", "tests", "bench", "docs", "scripts")
    nested = [path for top in ("include", "lib", "channels") for path in (source / top).iterdir() if path.is_dir()]
    found = [str(path.relative_to(source)) for path in nested] + [top for top in tops if top not in ("include", "lib", "channels")]
    compare("docs/design.md, folders", stated, found)


def check_environment():
    statement = re.search(r"environment\s+variables?,\s+([^.]*?),\s+and\s+not", text_of("docs/failure-model.md"))
    stated = re.findall(r"`(\w+)`", statement.group(1)) if statement else []
    read = set()
    for folder in ("lib", "channels", "include"):
        for path in (source / folder).rglob("*.[ch]"):
            read |= {name or str(path) for name in re.findall(r'getenv\((?:"(\w+)")?', path.read_text())}
    compare("docs/failure-model.md, environment variables", stated, read)


def check_commands(program):
    help_text = subprocess.run([program, "--help"], check=True, capture_output=True, text=True).stdout
    offered = re.findall(r"^  ([\w-]+) +\S", help_text.split("Commands:")[1].split("\n\n")[0], re.M)
    rows = "\n".join(row.split("|")[1] for row in text_of("docs/command.md").splitlines() if row.startswith("| `leat "))
    stated = re.findall(r"`(?:leat )?([a-z][\w-]*)", rows)
    compare("docs/command.md, commands", stated, set(offered) - {"help"})


check_tour()
check_glossary()
check_reading_order()
check_headers()
check_folders()
check_environment()
if len(sys.argv) > 2:
    check_commands(sys.argv[2])
print("\n".join(differences) or "the lists are those of the tree")
sys.exit(1 if differences else 0)
