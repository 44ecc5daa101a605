#!/usr/bin/env python3
"""performance.py [--check] - writes docs/performance.md, and what README.md and docs/event-loops.md have of it, from measured figures.

Reads docs/performance.in.md (the prose), docs/performance/SLUG/*.json (a folder for each processor, in it a run of
`leat bench ... --json` each, named like the file) and bench/instructions.txt, the figures by way of
performance_figures.py. What stands in the prose between the two lines `<!-- performance: begin -->` and
`<!-- performance: end -->` also takes the place of what stands between them in README.md, so it may not have links;
what stands between `begin waiting` and `end waiting`, that in docs/event-loops.md. What stands between a line
`{{each}}` and the next `{{end}}` is repeated for each processor, with its figures. --check writes nothing, and fails
when one of the files is not what would be written. Placeholders, each within one line:

    {{processor}}               of a part that is repeated: whose turn it is
    {{best}}                    the way to hand records over that is best there
    {{heads TEXT|TEXT}}         the heads of columns, once for each processor
    {{same TEXT|TEXT}}          cells of a table that are the same for each processor
    {{machine RUN RUN}}         machine, system, compiler, version and date of these runs, or of all
    {{run RUN}}                 the command, date, placement, number of cells of a run
    {{plot RUN}}                its picture
    {{table RUN}}               its main figures, by row and column: median [lowest..highest]
    {{table RUN COLUMN}}        the percentiles of one column, of paced messages with what was achieved and the CPU time
        ... MINE/PEER,PEER      for each such word a row at the end: how many times as good as the best of the peers MINE is, whatever
                                the unit: under 1 is a loss. With ~ before it when the ranges overlap: no difference to report
    {{cells RUN COLUMN ROW,ROW}} medians, between the bars of a table that is written in the prose; `-` as a row stays one
    {{figure FIGURE}}           a median with its unit
    {{ratio FIGURE / FIGURE}}   one median divided by the other, as it is: of times, less is better
    {{goal OP NUMBER figure FIGURE}}, {{goal OP NUMBER ratio FIGURE / FIGURE}}
                                two cells of a table: what was reached, and whether that meets the goal; OP is >=, <=,
                                < or within, from 1, above or below. NUMBER may be one for each maker,
                                `amd:2.8,intel:1.7`. The first FIGURE may have several rows, and columns, `8,64`: one
                                after another in the same cells

A FIGURE is RUN ROW COLUMN FIELD. ROW is a transport, a limit, a way to open, or a way to be counted in instructions; `best:A,B` is the
best of those. COLUMN is a size, with `@` and a level behind it where there are several rates or numbers of receivers; a step of `open`;
limits have none. FIELD may be left out: it is the rate, or p50; others are p90, p99, p99.9 and so on, achieved, in a million
messages, wake_calls (the sender's) and sleeps (the receiver's), and, in percent of one processor, cpu (the receiver's) and sender_cpu
(without the time in which it waits until a message is due). Of a part of `leat bench loop`, a RUN like loop.trips, ROW is a way, COLUMN a figure
as the file names it; `ratio`, to the way that the part compares with, is the median of the rounds' ratios. Behind `/`, whatever is left out at either end is that of the first
FIGURE: `best:boost,ck_ring` is a whole one there. The run `instructions` is the last line of bench/instructions.txt; what the loops take by themselves is subtracted.

Only machine, figure, ratio, goal, heads and same may stand in what is not repeated: goal, heads and same have their
cells for each processor there, the others their figures one after another. A run that scripts/performance has and a
processor does not is not measured yet.

Of a run that has cells of both placements the one with more counts; of loops loop.trips is near, loop-far.trips far. What was asked for but has no cell is "not seen" (a dash in tables); what
nobody asked for is an error, with the line, as is an unknown placeholder. The language is in `KINDS`.
"""
import datetime
import difflib
import pathlib
import re
import shlex
import sys

sys.dont_write_bytecode = True # the source tree stays as it is
from performance_figures import (MORE_IS_BETTER, NotSeen, Runs, Wrong, find_run, full_figure, look_up, read_asked,
                                 read_instructions)

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEMPLATE, PAGE = ROOT / "docs/performance.in.md", ROOT / "docs/performance.md"
COPIES = {ROOT / "README.md": "", ROOT / "docs/event-loops.md": " waiting"} # and which lines they have of the page
RUNS, INSTRUCTIONS = ROOT / "docs/performance", ROOT / "bench/instructions.txt"
ASKED = ROOT / "scripts/performance"
HEADER = """<!-- Generated by scripts/performance.py from docs/performance.in.md, docs/performance/*/*.json and bench/instructions.txt: do not
     edit. `sh scripts/performance` measures and writes it again; `sh scripts/performance --generate` only writes it again. -->
"""
PACED_FIELDS = {"achieved/s": "achieved", "receiver CPU %": "cpu", "sender CPU %": "sender_cpu"} # beside percentiles
NOT_SEEN, NOT_MEASURED = "not seen", "not measured yet"


# --- Figures as text --------------------------------------------------------------------------------------------------


def number(value):
    """Three digits, or all before the point."""
    if abs(value) >= 999.5:
        return "{:,.0f}".format(value).replace(",", " ")
    return "{:.3g}".format(value)


def scale_of(figures):
    """Long times read better in microseconds: (divisor, unit)."""
    times = sorted(f[0] for f in figures if f[3] == "ns")
    return (1000, "µs") if times and times[len(times) // 2] >= 10000 else (1, "ns")


def scaled(figure, scale):
    factor = scale[0] if figure[3] == "ns" else 1
    return tuple(value / factor for value in figure[:3])


def show_spread(figure, scale):
    median, low, high = (number(value) for value in scaled(figure, scale))
    return median if low == high == median else "%s [%s..%s]" % (median, low, high)


def unit_of(figure, scale):
    unit = {"ns": scale[1], "us": "µs"}.get(figure[3], figure[3])
    return unit if unit == "x" else " " + unit if unit else ""


def show_ratio(value):
    return "%.2fx" % value if value < 9.995 else number(value) + "x"


def name_of(run, row):
    return run["names"].get(row, row)


def names_of(run, rows):
    names = [name_of(run, row) for row in rows.split(",")]
    return names[0] if len(names) == 1 else "the best of %s and %s" % (", ".join(names[:-1]), names[-1])


# --- Placeholders -----------------------------------------------------------------------------------------------------


def say_date(dates):
    days = [datetime.date.fromisoformat(day) for day in sorted({min(dates), max(dates)})]
    return " to ".join("%d %s" % (day.day, day.strftime("%B %Y")) for day in days)


def has_run(runs, name):
    try:
        return find_run(runs, name) is not None
    except NotSeen:
        return False


def machine(runs, *names):
    machines = {}
    for run in (runs[name] for name in names or runs if has_run(runs, name)):
        if "machine" in run:
            machines.setdefault(run["machine"], []).append(run)
    if not machines:
        return NOT_MEASURED
    names = {text: " (%s)" % ", ".join(r["name"] for r in of) if len(machines) > 1 else "" for text, of in machines.items()}
    return "; ".join("%s, %s%s" % (text, say_date([r["date"] for r in of]), names[text]) for text, of in machines.items())


def command(run):
    """As typed, without the options that only say where the figures go."""
    words = ["leat bench"] + [shlex.quote(word) for word in run["command"][1:]]
    return re.sub(r" (--json|--plot \S+)", "", " ".join(words))


def from_to(values):
    low, high = number(min(values)), number(max(values))
    return low if low == high else "%s to %s" % (low, high)


def say_count(count, noun):
    return "%s %s%s" % (count, noun, "" if count == "1" else "s")


def describe_run(runs, name):
    if not has_run(runs, name):
        return "`leat bench`, run `%s`: %s" % (name, NOT_MEASURED)
    run = runs[name]
    text = "`%s`, %s" % (command(run), say_date([run["date"]]))
    if not run["results"]:
        return text + ": not seen, no undisturbed cell was so placed"
    if run["kind"] == "open":
        return text
    text += {"near": ", processors near each other", "far": ", processors far from each other",
             "one-cpu": ", both processes on one processor"}[run["placement"]]
    text += ", at real-time priority" if run["realtime"] else ""
    probes = [r["probe_ns"] for r in run["results"] if r.get("probe_ns")]
    if probes:
        text += " (cache line round trip %s ns)" % from_to([p["min"] for p in probes] + [p["max"] for p in probes])
    text += ", %s each" % say_count(from_to([r.get("cells", r.get("rounds")) for r in run["results"]]), "cell")
    disturbed = run["dropped"].get("mixed", 0) + run["dropped"].get("disturbed", 0)
    return text + ("; disturbed and dropped: %d" % disturbed if disturbed else "")


def plot(runs, name):
    if not has_run(runs, name) or not runs[name]["results"]:
        return ""
    if not (runs.folder / (name + ".svg")).is_file():
        raise Wrong("docs/performance/%s/%s.svg is missing" % (runs.slug, name))
    return "![%s](performance/%s/%s.svg)" % (name, runs.slug, name)


def heading(run, column):
    """A column as people read it."""
    if "titles" in run:
        return run["titles"][column]
    size, _, level = column.partition("@")
    size = {"mix": "mix 16-2047 B", "small": "mix 8-64 B", "bimodal": "bimodal 24, 3072 B"}.get(size, size.replace("_", " ") if run["kind"] == "open" else size + " B")
    if run["kind"] == "paced":
        return "%s, %s/s" % (size, number(int(level)))
    return "%s, %s" % (size, say_count(level, "receiver")) if level else size


def ratio_row(run, word, columns):
    mine, peers = word.split("/")
    cells = []
    for column, field in columns:
        try:
            a, b = look_up(run, mine, column, field)[0], look_up(run, "best:" + peers, column, field)[0]
        except NotSeen:
            cells.append("-")
            continue
        better, worse = (a[0], b[0]) if a[3] in MORE_IS_BETTER else (b[0], a[0])
        if worse == 0:
            cells.append("-")
            continue
        times = better / worse
        overlap = a[1] <= b[2] and b[1] <= a[2]
        cells.append("**%s%s**" % ("~" if overlap else "", show_ratio(times)))
    return ["**%s against %s**" % (name_of(run, mine), names_of(run, peers))] + cells


def put_units(corner, titles, by_column):
    """In the corner what all columns have, else in their titles what each has, else None: it is for the cells."""
    everywhere = set().union(*by_column)
    if len(everywhere) <= 1:
        return ["".join([corner] + sorted(everywhere)).rstrip(", ")] + titles
    if all(len(units) <= 1 for units in by_column):
        return [corner.rstrip(", ")] + [", ".join([title] + [u for u in units if u]) for title, units in zip(titles, by_column)]
    return None


def has_unit(title, figure):
    return figure[3] in ("/s", "%") and title.endswith(figure[3])


def table(runs, name, *words):
    if not has_run(runs, name):
        return "Not measured yet."
    run = runs[name]
    ratios, plain = [w for w in words if "/" in w], [w for w in words if "/" not in w]
    percentiles_of = run["columns"] if "titles" not in run else []
    if len(plain) == 1 and plain[0] not in percentiles_of and plain[0] in run["known"]:
        return "Not measured yet."
    if len(plain) > 1 or not set(plain) <= set(percentiles_of) or not run["columns"]:
        raise Wrong("run '%s' has the columns %s, not '%s'" % (name, ", ".join(run["columns"]), " ".join(plain)))
    if not run["figures"]:
        return "Not seen."
    columns, corner = [(column, run["main"]) for column in run["columns"]], ""
    titles = ["" if column == "" else heading(run, column) for column in run["columns"]]
    if plain:
        fields = {title: title for title in ("p50", "p90", "p99", "p99.9")}
        if run["kind"] == "paced":
            fields.update(PACED_FIELDS)
        titles, corner = list(fields), heading(run, plain[0]) + ", "
        columns = [(plain[0], field) for field in fields.values()]
    shown = {(row, c): run["figures"].get((row,) + c) for row in run["rows"] for c in columns}
    scale = scale_of([f for f in shown.values() if f])
    by_column = [{unit_of(f, scale).strip(" x") for (_, at), f in shown.items() if at == c and f and not has_unit(title, f)}
                 for c, title in zip(columns, titles)]
    head = put_units(corner, titles, by_column)
    mixed = head is None
    lines = [head or [corner.rstrip(", ")] + titles]
    for row in run["rows"]:
        figures = [shown[row, c] for c in columns]
        lines.append([name_of(run, row)] + [show_spread(f, scale) + unit_of(f, scale) * mixed if f else "-" for f in figures])
    lines += [ratio_row(run, word, columns) for word in ratios]
    return "\n".join("| %s |" % " | ".join(line) for line in [lines[0], ["---"] * len(lines[0])] + lines[1:])


def cells(runs, name, column, rows):
    found = []
    for row in rows.split(","):
        try:
            run = find_run(runs, name)
            found.append(look_up(run, row, column, run["main"])[0] if row != "-" else None)
        except NotSeen:
            asked = has_run(runs, name) and row in runs[name]["rows"] and column in runs[name]["columns"]
            found.append(NOT_SEEN if asked else None)
    scale = scale_of([f for f in found if f and f != NOT_SEEN])
    return " | ".join("-" if f is None else f if f == NOT_SEEN else number(scaled(f, scale)[0]) + unit_of(f, scale) for f in found)


def one_figure(runs, words):
    run, *place = full_figure(runs, list(words))
    return look_up(runs[run], *place)[0]


def figure(runs, *words):
    value = one_figure(runs, words)
    scale = scale_of([value])
    return number(scaled(value, scale)[0]) + unit_of(value, scale)


def divide(runs, words):
    """The ratio, both figures, and, if it was chosen, the row that the second is from."""
    if words.count("/") != 1:
        raise Wrong("a ratio is FIGURE / FIGURE, not '%s'" % " ".join(words))
    at = words.index("/")
    left = full_figure(runs, words[:at])
    right = full_figure(runs, words[at + 1:], left)
    (a, _), (b, row) = look_up(runs[left[0]], *left[1:]), look_up(runs[right[0]], *right[1:])
    if b[0] == 0:
        raise NotSeen
    return a[0] / b[0], a, b, " of " + name_of(runs[right[0]], row) if right[1].startswith("best:") else ""


def ratio(runs, *words):
    return show_ratio(divide(runs, list(words))[0])


def reach(runs, words):
    """What was reached: as a number, and as it is shown."""
    if words[0] == "figure":
        return one_figure(runs, words[1:])[0], figure(runs, *words[1:])
    if words[0] != "ratio":
        raise Wrong("a goal is OP NUMBER figure FIGURE, or OP NUMBER ratio FIGURE / FIGURE")
    value, a, b, row = divide(runs, words[1:])
    scale = scale_of([a, b])
    shown = [number(scaled(f, scale)[0]) for f in (a, b)]
    return value, "%s (%s against %s%s)" % (show_ratio(value), shown[0], shown[1] + unit_of(b, scale), row)


def verdict(value, op, bound):
    met = {">=": value >= bound, "<=": value <= bound, "<": value < bound, "within": abs(value - 1) <= bound}[op]
    if met or bound == 0 or value == 0 or op == "within":
        return "yes" if met else "no"
    return "no, by a factor of %.2f" % (bound / value if op == ">=" else value / bound)


def bound_of(runs, text):
    """A number, or the one of this processor's maker."""
    if ":" not in text:
        return float(text)
    by_maker = dict(part.split(":") for part in text.split(","))
    maker = runs.slug.split("-")[0]
    if maker not in by_maker:
        raise Wrong("no goal for %s in '%s'" % (maker, text))
    return float(by_maker[maker])


def goal(runs, op, bound, *words):
    if op not in (">=", "<=", "<", "within") or len(words) < 3:
        raise Wrong("a goal is OP NUMBER figure FIGURE, or OP NUMBER ratio FIGURE / FIGURE")
    kind, run, row, *rest = words
    rows = [row] if row.startswith("best:") else row.split(",")
    columns = rest.pop(0).split(",") if rest and rest[0] != "/" else [None]
    reached, met = [], []
    for row, column in [(r, c) for r in rows for c in columns]:
        there = runs[run] if has_run(runs, run) else {"names": {}, "kind": ""}
        label = name_of(there, row) + ": " if len(rows) > 1 else ""
        label += heading(there, column) + ": " if len(columns) > 1 else ""
        try:
            value, shown = reach(runs, [kind, run, row] + [column] * bool(column) + rest)
            judged = verdict(value, op, bound_of(runs, bound))
        except NotSeen:
            shown = judged = NOT_SEEN
        reached.append(label + shown)
        met.append(label + judged)
    return " | ".join("<br>".join(cell) for cell in (reached, met))


def processor(runs):
    return runs.processor


def best(runs):
    return find_run(runs, "limits.handover")["best"]


def heads(runs, *words):
    return " | ".join("%s: %s" % (runs.processor, word) for word in " ".join(words).split("|"))


def same(runs, *words):
    return " | ".join(" ".join(words).split("|"))


KINDS = {"machine": machine, "run": describe_run, "plot": plot, "table": table, "cells": cells, "figure": figure,
         "ratio": ratio, "goal": goal, "processor": processor, "best": best, "heads": heads, "same": same}
FOR_ALL = {"machine": "; ", "goal": " | ", "heads": " | ", "same": " | ", "figure": None, "ratio": None} # and what stands between


# --- Pages ------------------------------------------------------------------------------------------------------------


def replace(runs, text):
    kind, *words = text.split() or [""]
    if kind not in KINDS:
        raise Wrong("unknown placeholder '%s'; there are %s" % (kind, ", ".join(KINDS)))
    try:
        return KINDS[kind](runs, *words)
    except NotSeen:
        return NOT_SEEN
    except (TypeError, ValueError) as problem: # too few or too many words, or no number
        raise Wrong("'%s': %s" % (text, problem))


def replace_for_all(processors, text):
    """In what is not repeated. One figure of several processors says whose each is."""
    kind = text.split()[0] if text.split() else ""
    if kind in KINDS and kind not in FOR_ALL:
        raise Wrong("'%s' is a processor's: it wants {{each}} before it" % text)
    values = [replace(runs, text) for runs in processors]
    if kind in FOR_ALL and FOR_ALL[kind] is None and len(values) > 1:
        return ", ".join("%s (%s)" % (value, runs.processor) for value, runs in zip(values, processors))
    return (FOR_ALL.get(kind) or "").join(values)


def fill_line(number, line, function, given):
    try:
        line = re.sub(r"\{\{(.*?)\}\}", lambda match: function(given, match.group(1)), line)
        if "{{" in line:
            raise Wrong("'{{' without '}}'")
    except Wrong as problem:
        raise Wrong("%s:%d: %s" % (TEMPLATE.relative_to(ROOT), number, problem))
    return line


def parts_of(lines):
    """(whether it is repeated, its lines) of each part; lines are numbered."""
    part, repeated = [], False
    for number, line in lines:
        if line.strip() not in ("{{each}}", "{{end}}"):
            part.append((number, line))
            continue
        if repeated == (line.strip() == "{{each}}"):
            raise Wrong("%s:%d: {{each}} and {{end}} want to take turns" % (TEMPLATE.relative_to(ROOT), number))
        yield repeated, part
        part, repeated = [], not repeated
    if repeated:
        raise Wrong("%s: {{each}} without {{end}}" % TEMPLATE.relative_to(ROOT))
    yield False, part


def fill(processors, template):
    """The template's first lines, a comment about itself, make way for the one about the page."""
    lines = list(enumerate(template.splitlines(keepends=True), 1))
    comment = next(i for i, (_, line) in enumerate(lines) if "-->" in line) + 1
    text = []
    for repeated, part in parts_of(lines[comment:]):
        if repeated:
            text += [fill_line(number, line, replace, runs) for runs in processors for number, line in part]
        else:
            text += [fill_line(number, line, replace_for_all, processors) for number, line in part]
    return HEADER + re.sub(r"\n{3,}", "\n\n", "".join(text))


def between(text, path, which):
    begin, end = ("<!-- performance: %s%s -->\n" % (word, which) for word in ("begin", "end"))
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise Wrong("%s: wants one line '%s' and later one '%s'" % (path.relative_to(ROOT), begin.strip(), end.strip()))
    return text.index(begin) + len(begin), text.index(end)


def read_processors():
    instructions, asked = read_instructions(INSTRUCTIONS), read_asked(ASKED)
    folders = sorted(path for path in RUNS.iterdir() if path.is_dir() and any(path.glob("*.json")))
    if not folders:
        raise Wrong("no processor was measured: there is no docs/performance/*/*.json")
    return [Runs(folder, instructions, asked) for folder in folders]


def make_pages():
    page = fill(read_processors(), TEMPLATE.read_text())
    pages = {PAGE: page}
    for path, which in COPIES.items():
        text = path.read_text()
        (a, b), (c, d) = between(page, TEMPLATE, which), between(text, path, which)
        pages[path] = text[:c] + page[a:b] + text[d:]
    return pages


def check(pages):
    wrong = False
    for path, text in pages.items():
        name = str(path.relative_to(ROOT))
        now = path.read_text() if path.exists() else ""
        sys.stdout.writelines(difflib.unified_diff(now.splitlines(True), text.splitlines(True), name, "as generated", n=0))
        wrong |= now != text
    if wrong:
        print("performance.py: not what the figures give; run `sh scripts/performance --generate`, or change docs/performance.in.md")
    return wrong


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("usage: performance.py [--check]")
    try:
        pages = make_pages()
    except Wrong as problem:
        sys.exit("performance.py: %s" % problem)
    if sys.argv[1:]:
        sys.exit(check(pages))
    for path, text in pages.items():
        path.write_text(text)
        print("wrote %s" % path.relative_to(ROOT))


if __name__ == "__main__":
    main()
