"""performance_figures.py - what was measured: the figures behind docs/performance.md, for performance.py.

Each processor has a folder, docs/performance/SLUG, with a file NAME.json for each run of `leat bench ... --json`. Reads
those and the last line of bench/instructions.txt. A run is a dictionary; its `figures` are (median, lowest, highest, unit)
by (row, column, field). What there should be is what scripts/performance asks for today, or the run's own command line
did: a cell, or a whole run, that was asked for and not measured (NotSeen) is told from one that nobody asks for (Wrong).
So a processor that was measured long ago stays on the page when runs are added.

Most files are one run. That of `leat bench loop` is a run for each part, loop.trips and so on, besides `loop`, which has the command and
the date; and as many again of processors far from each other, loop-far.trips. Rows are the ways of the part, columns its figures, by the names
that the file has for them. What there should be is in LOOP_PARTS: anything else is Wrong.
"""
import json
import math
import re

NAMES = {"boost": "boost spsc_queue", "rwqueue": "readerwriterqueue", "boost_mq": "boost message_queue", "zeromq": "ZeroMQ",
         "posix_mq": "POSIX message queue", "unix_stream": "Unix stream socket", "unix_seqpacket": "Unix seqpacket socket"}
LIMITS = {"ping_pause": "cache line there and back, `pause` in the loop", "ping_bare": "cache line there and back, bare loop",
          "ping_payload": "64 B payload line and flag line, there and back", "pull": "receiver reads lines that the sender has written",
          "rewrite_read": "sender rewrites lines that the receiver has only read",
          "rewrite_dirty": "sender rewrites lines that the receiver has written 8 B of",
          "rewrite_ahead": "sender rewrites lines that the receiver has only read, fetched ahead",
          "rewrite_ahead_distance": "the best distance of 4 to 64 lines",
          "memcpy_cache": "memcpy within one process, 64 KiB", "memcpy_memory": "memcpy within one process, 32 MiB"}
WAYS = {"plain": "plain", "wipe": "receiver wipes", "ahead": "sender fetches ahead",
        "wipe_ahead": "receiver wipes, sender fetches ahead"}
LIMIT_UNITS = {"_ns": "ns", "_gb_s": "GB/s", "_lines": "lines"}
HANDED_OVER = ["64", "256", "1024", "4096"]
IN_LOOP, IN_CALL = "in a loop: ", "in a call: "
LOOP_PARTS = {
    "trips": ({"leat_uv": "leat_uv", "leat_uv_sleep": "leat_uv, sleeping at once", "eventfd": "eventfd", "fifo": "named pipe",
               "uv_pipe": "uv_pipe_t"}, "p50_us p99_us cpu_us turns ratio"),
    "waiting": ({"loop_adaptive": IN_LOOP + "adaptive", "loop_sleep": IN_LOOP + "sleep", "loop_awake": IN_LOOP + "yield, spin",
                 "call_adaptive": IN_CALL + "adaptive", "call_sleep": IN_CALL + "sleep", "call_yield": IN_CALL + "yield",
                 "call_spin": IN_CALL + "spin"},
                "p50_us_at_20us cpu_percent_at_20us wakes_at_20us p50_us_at_1ms cpu_percent_at_1ms wakes_at_1ms ratio"),
    "rates": ({"leat_uv": "leat_uv", "leat_uv_held": "leat_uv, held", "leat_recv": "leat_recv, no loop", "uv_pipe": "uv_pipe_t", "uv_pipe_loops": "uv_pipe_t, sender in a loop"},
              "messages_per_us wakes_per_million turns_per_million cpu_ns ratio"),
    "channels": ({"1": "one channel", "10": "any of 10", "1000": "any of 1000", "1000_same": "always the same one of 1000",
                  "eventfd": "eventfd, no channel"}, "p50_us p99_us turns callbacks wakeups cpu_us ratio"),
    "idle": ({"1000": "1000 silent channels"}, "turns wakeups cpu_us seconds"),
    "timer": ({"quiet": "silent channel", "flooded": "flooded channel"}, "ticks_per_s p50_us p99_us max_us messages_per_us ratio")}
LOOP_FIGURES = { # title and unit
    "p50_us": ("p50", "us"), "p99_us": ("p99", "us"), "max_us": ("longest", "us"), "cpu_us": ("CPU time", "us"), "cpu_ns": ("CPU time", "ns"),
    "turns": ("turns", ""), "callbacks": ("callbacks", ""), "wakeups": ("wake-ups", ""), "cpu_percent": ("CPU", "%"), "wakes": ("wakes", ""),
    "messages_per_us": ("messages", "M/s"), "wakes_per_million": ("wakes a million", ""),
    "turns_per_million": ("turns a million", ""), "ticks_per_s": ("ticks/s", "/s"), "seconds": ("looked at for", "s"), "ratio": ("ratio", "x")}
STEPS = ["create", "attach", "close", "close_last"]
MORE_IS_BETTER = ("M/s", "/s", "GB/s")


class Wrong(Exception):
    """Something in the template, or in what it asks for, is wrong."""


class NotSeen(Exception):
    """A figure that was asked for, but not one undisturbed cell was measured."""


# --- Runs: a dictionary each. figures: (row, column, field) -> (median, lowest, highest, unit) ------------------------


def spread_of(value, unit):
    return (value["median"], value["min"], value["max"], unit)


def column_of(result):
    """A column's name: the size as `leat bench -s` has it, and the level."""
    size = "small" if result["size"] == "mix 8-64 B" else re.split("[ ,]", result["size"])[0]
    level = result.get("rate")
    return size if level is None else "%s@%d" % (size, level)


def cell_figures(result):
    units = {"million_per_s": ("rate", "M/s"), "achieved": ("achieved", "/s"), "probe_ns": ("probe", "ns")}
    for name, value in result.items():
        field, unit = units.get(name, (name[:-3], "ns"))
        if (name in units or name.endswith("_ns")) and value:
            yield field, spread_of(value, unit)
    for field, side, waited in (("cpu", "receiver", 0), ("sender_cpu", "sender", result.get("waited_s", 0))):
        usage = result.get(side, {})
        if usage.get("wall_s") and "cpu_s" in usage: # sums over all cells, hence no range
            value = 100 * max(0, usage["cpu_s"] - waited) / usage["wall_s"]
            yield field, (value, value, value, "%")
    if result["receiver"]["messages"]:
        for field, side, counter in (("wake_calls", "sender", "wake_calls"), ("sleeps", "receiver", "sleeps")):
            value = 1e6 * result[side][counter] / result["receiver"]["messages"]
            yield field, (value, value, value, "")


def asked_for(command):
    """The rows and columns that the command line has; there may be no cell of some."""
    def option(*names):
        return next((command[i + 1].split(",") for i in range(len(command) - 1) if command[i] in names), [])
    levels = option("--rate")
    sizes = option("-s", "--sizes")
    return option("-t", "--transports"), ["%s@%s" % (s, l) for s in sizes for l in levels] if levels else sizes


def read_asked(path):
    """What scripts/performance measures today, where it can: rows and columns by run."""
    script = path.read_text().replace("\\\n", " ")
    for name in ("rings", "iceoryx"):
        script = script.replace("$" + name, re.search(r"^ *%s=(\S+)" % name, script, re.M).group(1))
    lines = re.findall(r"^ *measure ([\w-]+) (.*)", script, re.M)
    return {name: asked_for(words.split()) for name, words in lines}


def read_cells(run, results):
    run["rows"], run["columns"] = asked_for(run["command"])
    for result in results:
        for field, value in cell_figures(result):
            way = result.get("way") or result["transport"] # as files of 2026 have it
            run["figures"][way, column_of(result), field] = value


def best_way(result):
    """The way to hand records over that is best by the geometric mean over the sizes; plain unless another is 5 % better."""
    def mean(way):
        rates = ["handover_%s_%s_million_per_s" % (size, way) for size in HANDED_OVER]
        return math.prod(result[rate]["median"] for rate in rates) ** (1 / len(rates))
    best = max(WAYS, key=mean)
    return best if mean(best) > 1.05 * mean("plain") else "plain"


def read_limits(run, results):
    """The run itself, and limits.handover: what the processor is quick at handing records over with."""
    first = results[0] if results else {}
    run.update(rows=list(LIMITS), columns=[""], names=LIMITS)
    for name in LIMITS:
        for end, unit in LIMIT_UNITS.items():
            if name + end in first:
                run["figures"][name, "", "value"] = spread_of(first[name + end], unit)
    yield run
    if not first:
        return
    over = dict(run, name=run["name"] + ".handover", rows=list(WAYS), columns=HANDED_OVER, names=WAYS, figures={}, main="rate",
                best=WAYS[best_way(first)])
    for way in WAYS:
        for size in HANDED_OVER:
            over["figures"][way, size, "rate"] = spread_of(first["handover_%s_%s_million_per_s" % (size, way)], "M/s")
    yield over


def read_open(run, results):
    """Of thousands of calls the longest says nothing: the 99th percentile stands for it."""
    results = [result for result in results if result.get("part", "open") == "open"]
    run["rows"], run["columns"] = [result["way"] for result in results], STEPS
    for result in results:
        for step in STEPS:
            value = result[step + "_us"]
            p99 = value.get("p99") or result[step + "_p99_us"]["median"]
            run["figures"][result["way"], step, "p50"] = (value["median"], value["min"], p99, "us")


def title_and_unit(name):
    """Of a figure of a loop; `p50_us_at_20us` is p50_us of messages that are 20 us apart."""
    name, _, apart = name.partition("_at_")
    title, unit = LOOP_FIGURES[name]
    return (apart.replace("us", " µs").replace("ms", " ms") + " apart: " if apart else "") + title, unit


def read_loop_part(run, part, results):
    run["names"], columns = LOOP_PARTS[part]
    run.update(rows=list(run["names"]), columns=columns.split(), main="value")
    run["titles"] = {name: title_and_unit(name)[0] for name in run["columns"]}
    for result in results:
        figures = {name: value for name, value in result.items()
                   if isinstance(value, dict) and name != "probe_ns"}
        if result["way"] not in run["rows"] or not set(figures) <= set(run["columns"]):
            raise Wrong("%s: LOOP_PARTS lacks '%s', or one of its figures" % (run["name"], result["way"]))
        for name, value in figures.items():
            run["figures"][result["way"], name, "value"] = spread_of(value, title_and_unit(name)[1])
        if "against" in result:
            run["titles"]["ratio"] = "against " + run["names"][result["against"]]


def read_loop(whole, results):
    """The run itself, and one for each part; then the same of the other placement."""
    if not {result["part"] for result in results} <= set(LOOP_PARTS):
        raise Wrong("%s: LOOP_PARTS lacks a part" % whole["name"])
    for placement, end in (("near", ""), ("far", "-far")):
        seen = [result for result in results if result["placement"] == placement]
        run = dict(whole, name=whole["name"] + end, placement=placement, results=seen, rows=[], columns=[])
        yield run
        for part in LOOP_PARTS:
            of_part = [result for result in seen if result["part"] == part]
            one = dict(run, name="%s.%s" % (run["name"], part), results=of_part, figures={})
            del one["machine"] # it is said once for all parts
            read_loop_part(one, part, of_part)
            yield one


def read_runs(path):
    """The runs that a file has, by name."""
    data = json.loads(path.read_text())
    experiment = data["experiments"][0]
    kind, results = experiment["experiment"], experiment["results"]
    run = {"name": path.stem, "kind": kind, "command": data["command"], "date": data["date"][:10], "figures": {}, "names": NAMES,
           "main": {"throughput": "rate", "limits": "value"}.get(kind, "p50"), "dropped": experiment.get("dropped", {}),
           "machine": describe_machine(data), "realtime": data["machine"].get("realtime", False)}
    cells = {}
    for result in results:
        placement = result.get("placement", "near")
        cells[placement] = cells.get(placement, 0) + result.get("cells", result.get("rounds", 1))
    run["placement"] = max(cells, key=cells.get, default="near")
    run["results"] = [r for r in results if r.get("placement", "near") == run["placement"]]
    if kind == "loop":
        return {one["name"]: one for one in read_loop(run, results)}
    if kind == "limits":
        return {one["name"]: one for one in read_limits(run, run["results"])}
    (read_open if kind == "open" else read_cells)(run, run["results"])
    return {run["name"]: run}


def read_instructions(path):
    lines = path.read_text().splitlines()
    counts = lines[-1].split()[-16:]
    run = {"name": "instructions", "kind": "instructions", "rows": ["copy", "inline", "many", "place", "place_inline"], "columns": ["8", "64", "1024"],
           "figures": {}, "names": {}, "main": "count"}
    for i, count in enumerate(counts[1:]):
        if count != "-" and counts[0] != "-":
            value = float(count) - float(counts[0])
            run["figures"][run["rows"][i // 3], run["columns"][i % 3], "count"] = (value, value, value, "")
    return run


def describe_machine(data):
    machine = data["machine"]
    compiler = machine["compiler"] if not machine["compiler"][0].isdigit() else "gcc " + machine["compiler"]
    return "%s, %s, %s, %s, leat %s" % (machine["cpu"], machine["architecture"], machine["system"], compiler, data["library"])


# --- Figures ----------------------------------------------------------------------------------------------------------


def is_asked(runs, name):
    """Whether scripts/performance has that run, or it is a part of one: limits.handover, loop.trips, loop-far.trips."""
    return name in runs.asked or re.sub(r"(-far)?(\..*)?$", "", name) in ("limits", "loop")


def find_run(runs, name):
    if name in runs:
        return runs[name]
    if is_asked(runs, name):
        raise NotSeen
    raise Wrong("there is no run '%s'; there are %s" % (name, ", ".join(sorted(set(runs) | set(runs.asked)))))


class Runs(dict):
    """The runs of one processor, by name."""

    def __init__(self, folder, instructions, asked):
        super().__init__()
        self.slug, self.folder, self.asked = folder.name, folder, asked
        for path in sorted(folder.glob("*.json")):
            self.update(read_runs(path))
        for name, run in self.items():
            rows, columns = asked.get(name, ([], []))
            run["known"] = set(run["rows"]) | set(rows) | set(run["columns"]) | set(columns)
        self["instructions"] = dict(instructions, known=set(instructions["rows"]) | set(instructions["columns"]))
        maker, *words = self.slug.split("-")
        self.processor = " ".join([maker.upper() if maker in ("amd", "arm") else maker.capitalize()] + words)


def look_up(run, row, column, field):
    """A figure, and the row it is from, which `best:` chooses."""
    rows = row[5:].split(",") if row.startswith("best:") else [row]
    for asked in rows + [column]:
        if asked not in run["known"]:
            raise Wrong("run '%s' has no '%s'; it has %s" % (run["name"], asked, ", ".join(sorted(run["known"]))))
    seen = [(run["figures"][r, column, field], r) for r in rows if (r, column, field) in run["figures"]]
    if not seen:
        known = sorted({f for _, _, f in run["figures"]} | {"p50", "p90", "p99", "p99.9", "p99.99", "max", "cpu", "sender_cpu"})
        if field not in known + [run["main"]]:
            raise Wrong("run '%s' has no field '%s'; it has %s" % (run["name"], field, ", ".join(known)))
        raise NotSeen
    better = max if seen[0][0][3] in MORE_IS_BETTER else min
    return better(seen, key=lambda one: one[0][0])


def full_figure(runs, words, given=None):
    """The words of a FIGURE made complete: RUN, ROW, COLUMN, FIELD. What is left out is taken from `given`, a complete one."""
    if given and (not words or (words[0] not in runs and not is_asked(runs, words[0]))):
        words = given[:1] + words
    run = find_run(runs, words[0] if words else "")
    place = words[:2] + ([""] if run["columns"] == [""] else []) + words[2:]
    if given and len(place) == 2:
        place.append(given[2])
    if len(place) == 3:
        place.append(given[3] if given and run["main"] == runs[given[0]]["main"] else run["main"])
    if len(place) != 4:
        raise Wrong("a figure is RUN ROW COLUMN [FIELD], not '%s'" % " ".join(words))
    return place
