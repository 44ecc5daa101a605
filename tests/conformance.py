"""conformance.py SOURCE-DIR: is every test that docs/conformance.md names there? Prints those that are not; exit status 1."""

import pathlib
import re
import sys

source = pathlib.Path(sys.argv[1])
there = {
    (path.stem[len("test_"):], name)
    for path in (source / "tests").glob("test_*.c")
    for name in re.findall(r"HARNESS_TEST(?:_WITHIN)?\((\w+)", path.read_text())
}

# Written as `suite: test`, or as `suite`: test, test.
text = (source / "docs/conformance.md").read_text()
named = set(re.findall(r"`(\w+): (\w+)`", text))
for suite, rest in re.findall(r"`(\w+)`: ([\w, ]+)", text):
    named |= {(suite, name) for name in re.split(r",\s*", rest.strip()) if "_" in name}
named.discard(("program", "test"))  # which says how to read the others

missing = sorted(named - there)
for suite, name in missing:
    print(f"docs/conformance.md names {suite}: {name}, which is no test")
print(f"{len(named)} tests are named, {len(missing)} of them are missing")
sys.exit(1 if missing or len(named) < 50 else 0)
