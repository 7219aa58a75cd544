#!/usr/bin/env python3
"""Runs a command several times and prints one JSON line: median user seconds, wall seconds, peak memory in MiB.

The command's own output is thrown away; a failure of the command fails the measurement.
"""
import json
import os
import statistics
import subprocess
import sys
import time

runs = int(os.environ.get("RUNS", "5"))
command = sys.argv[1:]
user, wall, peak = [], [], []
for number in range(runs + 1):
    started = time.monotonic()
    with open(os.devnull, "wb") as nowhere:
        child = subprocess.Popen(command, stdout=nowhere, stderr=subprocess.PIPE)
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.stderr.buffer.write(errors)
        sys.exit(f"failed: {' '.join(command)}")
    if number == 0:
        continue  # a warm-up
    user.append(usage.ru_utime)
    wall.append(time.monotonic() - started)
    peak.append(usage.ru_maxrss / 1024)
print(json.dumps({"user_s": round(statistics.median(user), 3), "wall_s": round(statistics.median(wall), 3),
                  "peak_mib": round(statistics.median(peak), 1), "runs": runs}))
