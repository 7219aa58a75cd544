#!/usr/bin/env python3
"""Prints the registry's tables of BENCHMARKS.md from raw results: tables.py [--lists | --abuse] FILE

FILE holds one JSON object a line, as scripts/bench/registry.sh, lists.sh and abuse.sh write them. Where a load ran several times,
the median stands in the table.
"""
import json
import re
import statistics
import sys
from collections import Counter, defaultdict

ORDER = ["sealock", "sealock-later", "zot", "zot-commit", "distribution", "docker-registry"]
DEFAULTS = ["zot", "distribution", "docker-registry"]
WORKLOADS = {
    "push-1m": "push, one layer of 1 MiB",
    "push-4x256k": "push, four layers of 256 KiB (PATCH)",
    "push-100m": "push, one layer of 100 MiB, one client",
    "pull-1m": "pull, one layer of 1 MiB",
    "pull-100m": "pull, one layer of 100 MiB, two clients",
    "tls-pull-100m": "the same over TLS",
    "mixed": "three pulls to one push, 1 MiB",
    "get-tag": "GET manifest by tag",
    "get-digest": "GET manifest by digest",
    "head-tag": "HEAD manifest by tag",
    "head-digest": "HEAD manifest by digest",
    "head-blob": "HEAD blob",
    "open-push": "open loop: 20 pushes of 1 MiB a second",
    "open-pull": "open loop: 60 pulls of 1 MiB a second",
    "open-head": "open loop: 400 HEAD by tag a second",
}


class Results:
    def __init__(self, path):
        self.runs = defaultdict(list)
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                run = json.loads(line)
                self.runs[run["server"], run["workload"]].append(run)

    def servers(self):
        found = {server for server, workload in self.runs if workload in WORKLOADS}
        return [server for server in ORDER if server in found]

    def get(self, server, workload, *path):
        """The median of a value over the runs, or None."""
        values = []
        for run in self.runs.get((server, workload), []):
            for key in path:
                run = (run or {}).get(key)
            if run is not None:
                values.append(run)
        return statistics.median(values) if values else None

    def best(self, workload, *path, least=True):
        """The best peer at its default: (value, name)."""
        found = [(self.get(peer, workload, *path), peer) for peer in DEFAULTS]
        found = [pair for pair in found if pair[0] is not None]
        return (min if least else max)(found) if found else (None, None)


def text(value):
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def row(*cells):
    print("| " + " | ".join(cells) + " |")


def head(*cells):
    print()
    row(*cells)
    row(*("---" for _ in cells))


def by_server(results, title, unit, path, least, scale=1.0, only=None):
    servers = results.servers()
    head(f"{title}, {unit}", *servers, "sealock to best peer")
    for workload, name in WORKLOADS.items():
        values = [results.get(server, workload, *path) for server in servers]
        if all(value is None for value in values) or (only and not workload.startswith(only)):
            continue
        best, _ = results.best(workload, *path, least=least)
        ours = results.get("sealock", workload, *path)
        ratio = f"{ours / best:.2f}" if ours and best else "–"
        row(name, *(text(None if value is None else value / scale) for value in values), ratio)


def latencies(results):
    servers = results.servers()
    head("latency p50 / p99 / p99.9, ms", *servers)
    for workload, name in WORKLOADS.items():
        cells = []
        for server in servers:
            values = [results.get(server, workload, "latency", at) for at in ("p50", "p99", "p999")]
            cells.append("–" if None in values else " / ".join(text(value / 1000) for value in values))
        if any(cell != "–" for cell in cells):
            row(name, *cells)


def memory(results):
    servers = results.servers()
    head("memory", *servers)
    peaks = []
    for server in servers:
        runs = [run for (name, _), runs in results.runs.items() if name == server for run in runs]
        found = [run["server_use"] for run in runs if run.get("server_use")]
        peaks.append(max((use["peak_mib"] for use in found), default=None))
    row("largest resident, MiB", *map(text, peaks))
    errors = []
    for server in servers:
        runs = [run for (name, _), runs in results.runs.items() if name == server for run in runs]
        errors.append(sum(run.get("errors") or 0 for run in runs) + sum(1 for run in runs if run.get("failed")))
    row("failed operations in all loads", *(str(count) for count in errors))


def machine(results):
    head("what the machine can do", "a second", "MiB/s")
    for size, name in {"1m": "1 MiB", "256k": "256 KiB", "100m": "100 MiB"}.items():
        rate = results.get("fio", size, "per_second")
        row(f"fio: files of {name} written and fdatasynced, {'1 writer' if size == '100m' else '8 writers'}",
            text(rate), text(results.get("fio", size, "mib_per_second")))
    row("the same of 1 MiB, renamed, folder synced, 8 writers",
        text(results.get("machine", "files", "per_second")), text(results.get("machine", "files", "mib_per_second")))
    row("SHA-256, one core", "", text(results.get("machine", "hash", "sha256_mib_per_second")))
    row("SHA-512, one core", "", text(results.get("machine", "hash", "sha512_mib_per_second")))


def zb(results):
    tests = sorted({workload for _, workload in results.runs if workload.startswith("zb: ")})
    servers = [server for server in ORDER if any((server, test) in results.runs for test in tests)]
    if not tests:
        return
    head("zot's zb, images a second (p50 / p99 ms)", *servers)
    for test in tests:
        cells = []
        for server in servers:
            rate = results.get(server, test, "per_second")
            p50, p99 = results.get(server, test, "p50_ms"), results.get(server, test, "p99_ms")
            cells.append("–" if rate is None else f"{text(rate)} ({text(p50)} / {text(p99)})")
        row(test.removeprefix("zb: "), *cells)


def aims(results):
    head("aim (ours at its durable default, peers at their defaults)", "measured", "")

    def aim(name, value, limit, less=True, unit="", detail=""):
        if value is None or limit is None:
            row(name, "not measured", "")
            return
        met = value <= limit if less else value >= limit
        miss = value / limit if less else limit / value
        row(name, f"{text(value)}{unit} against {text(limit)}{unit}{detail}", "met" if met else f"missed, {miss:.1f} times")

    cpu = ("server_use", "cpu_us_per_operation")
    for workload, part in [("push-1m", 3), ("pull-1m", 3), ("get-tag", 5), ("get-digest", 5), ("head-tag", 5), ("head-digest", 5)]:
        best, peer = results.best(workload, *cpu)
        aim(f"CPU of {WORKLOADS[workload]}: 1/{part} of the best peer's", results.get("sealock", workload, *cpu),
            best and best / part, unit=" µs", detail=f" ({peer})")
    best, peer = results.best("push-1m", "per_second", least=False)
    disk = results.get("fio", "1m", "per_second")
    limits = [limit for limit in (best and 3 * best, disk and 0.8 * disk) if limit]
    aim("unique 1 MiB images a second: 3 × best peer or 0.8 × fio, the smaller", results.get("sealock", "push-1m", "per_second"),
        min(limits, default=None), less=False, detail=f" (best: {peer})")
    limits = [limit for limit in (results.get("fio", "100m", "mib_per_second"), results.get("machine", "hash", "sha256_mib_per_second")) if limit]
    aim("push of 100 MiB: 0.9 of disk or hash, the smaller", results.get("sealock", "push-100m", "mib_per_second"),
        0.9 * min(limits) if limits else None, less=False, unit=" MiB/s")
    for workload in ("pull-100m", "tls-pull-100m"):
        best, peer = results.best(workload, "mib_per_second", least=False)
        aim(f"{WORKLOADS[workload]}: the best peer's rate", results.get("sealock", workload, "mib_per_second"), best,
            less=False, unit=" MiB/s", detail=f" ({peer})")
    peaks = [run["server_use"]["peak_mib"] for (name, _), runs in results.runs.items() if name == "sealock"
             for run in runs if run.get("server_use")]
    aim("resident memory throughout", max(peaks, default=None), 150, unit=" MiB")


def lists(results):
    head("large registries", "p50 ms", "p99 ms", "aim, ms", "")
    starts = sorted(run["ms"] for run in results.runs.get(("sealock", "start"), []))
    if starts:
        blobs = results.runs.get(("sealock", "start"))[0]["blobs"]
        row(f"start-up with {blobs:,} blobs (median of {len(starts)})", text(statistics.median(starts)), text(starts[-1]), "1000",
            "met" if statistics.median(starts) < 1000 else "missed")
    shapes = shapes_of(results)
    for (_, workload), runs in results.runs.items():
        if not workload.startswith("list: "):
            continue
        p50, p99 = (results.get("sealock", workload, "latency", at) for at in ("p50", "p99"))
        if p50 is None:
            row(workload.removeprefix("list: "), "failed: " + str(runs[0].get("first_error")), "", "5", "")
            continue
        row(workload.removeprefix("list: "), text(p50 / 1000), text(p99 / 1000), "5", "met" if p50 < 5000 else "missed")
    peaks = [run["server_use"]["peak_mib"] for (_, workload), runs in results.runs.items()
             if workload.startswith("list: ") for run in runs if run.get("server_use")]
    peaks += [run["peak_mib"] for run in shapes]
    if peaks:
        row("largest resident, MiB", text(max(peaks)), "", "150", "met" if max(peaks) < 150 else "missed")
    if shapes:
        ways(results, shapes)


def shapes_of(results):
    return [run for (_, workload), runs in results.runs.items() if workload.startswith("shapes: ") for run in runs]


def ways(results, shapes):
    """Harbor's lists, each asked for in many ways: the first one and the slowest."""
    for (_, workload), runs in results.runs.items():
        if workload == "fill":
            engine = runs[0]["engine"]
            print(f"\nOn {engine}; filled in {runs[0]['seconds']:.0f} s, {runs[0]['events']:,} events in {runs[0]['events_seconds']:.0f} s.")
    head("list, and who asks", "ways", "first page: p50 / p99 ms", "slowest: p50 / p99 ms", "aim, p99 ms", "", "the slowest")
    for run in shapes:
        aim = 50 if "audit" in run["workload"] else 30
        found = [shape for shape in run["shapes"] if "latency" in shape]
        failed = [shape for shape in run["shapes"] if "error" in shape]
        name = f'{run["workload"].removeprefix("shapes: ")} ({run["who"]})'
        if failed or not found:
            row(name, str(len(run["shapes"])), "failed", "", str(aim), "missed", failed[0]["error"] if failed else "")
            continue
        times = [f'{text(shape["latency"]["p50"] / 1000)} / {text(shape["latency"]["p99"] / 1000)}' for shape in found]
        slowest = max(range(len(found)), key=lambda at: found[at]["latency"]["p99"])
        late = sum(1 for shape in found if shape["latency"]["p99"] >= aim * 1000)
        met = "met" if late == 0 else f"missed by {late}"
        path = found[slowest]["path"].removeprefix("/api/").replace("with_detail=true", "…")
        path = re.sub(r"with_tag=true.*with_sbom_overview=true", "…", path)
        row(name, str(len(found)), times[0], times[slowest], str(aim), met, f"`{path}`")


def abuse(path):
    """Latencies of a client that means well, alone and beside each abuser."""
    with open(path, encoding="utf-8") as lines:
        runs = [json.loads(line) for line in lines]
    workloads = {"get-tag": "GET manifest", "pull": "pull", "push": "push"}
    found = defaultdict(list)
    for run in runs:
        found[run["abuser"], run["workload"]].append(run)

    def middle(abuser, workload, percentile):
        return statistics.median(run["latency"][percentile] for run in found[abuser, workload])

    head("beside", *(f"{name}: p50 / p99 ms" for name in workloads.values()), "p99 to alone, worst", "failed", "the abuser was answered")
    for abuser in dict.fromkeys(run["abuser"] for run in runs):
        cells, ratios, errors = [], [], 0
        for workload in workloads:
            half, most = (middle(abuser, workload, percentile) for percentile in ("p50", "p99"))
            cells.append(f"{text(half / 1000)} / {text(most / 1000)}")
            ratios.append(most / middle("nobody", workload, "p99"))
            errors += sum(run["errors"] for run in found[abuser, workload])
        answers = Counter()
        for run in found.get((abuser, "abuse"), []):
            answers.update(run["answers"])
        told = ", ".join(f"{status}: {count:,}" for status, count in answers.items())
        ratio = "–" if abuser == "nobody" else f"{max(ratios):.2f}"
        # A control says nothing about the server.
        if (abuser, "abuse") in found:
            ratio += " (met)" if max(ratios) <= 2 else " (missed)"
        row(abuser, *cells, ratio, str(errors), told or "–")


def main():
    if "--abuse" in sys.argv:
        abuse(sys.argv[-1])
        return
    results = Results(sys.argv[-1])
    if "--lists" in sys.argv:
        lists(results)
        return
    aims(results)
    by_server(results, "server CPU", "µs per image or request", ("server_use", "cpu_us_per_operation"), True)
    by_server(results, "closed loop", "images or requests a second", ("per_second",), False)
    latencies(results)
    memory(results)
    machine(results)
    zb(results)


main()
