# SPDX-License-Identifier: Apache-2.0
"""Drives two `godwit vm` processes over QMP with nothing but Python's standard library.

Usage: foreign_client.py CHECKOUT FOLDER. Prints what it saw as one JSON document.
"""

import json
import os
import socket
import subprocess
import sys
import time

DEADLINE_S = 30


class Qmp:
    """One QMP client on a unix socket."""

    def __init__(self, path):
        deadline = time.monotonic() + DEADLINE_S
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.socket.settimeout(DEADLINE_S)
        self.file = self.socket.makefile("rw", encoding="utf-8", newline="\n")
        self.greeting = json.loads(self.file.readline())["QMP"]
        self.events = []
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        # Python keyword arguments have no dashes; QMP names do.
        request = {"execute": name, "arguments": {key.replace("_", "-"): value for key, value in arguments.items()}}
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        while True:
            reply = json.loads(self.file.readline())
            if "event" in reply:
                self.events.append(reply)
            elif "error" in reply:
                raise RuntimeError(f"{name}: {reply['error']['desc']}")
            else:
                return reply["return"]

    def until(self, condition, what):
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited {DEADLINE_S} s for {what}")
            time.sleep(0.02)


def start(checkout, *options):
    node = os.path.join(checkout, "node_modules", ".bin", "node")
    entry = os.path.join(checkout, "src-main", "shells", "cli", "main.ts")
    return subprocess.Popen([node, entry, "vm", *options], stdout=subprocess.DEVNULL)


def main():
    checkout, folder = sys.argv[1:]
    in_folder = lambda name: os.path.join(folder, name)
    common = ["--machine", "microvm", "--memory", "64M", "--cpus", "2"]
    processes = [
        start(checkout, *common, "--qmp", "unix:" + in_folder("src.sock"), "--serial", "file:" + in_folder("src.log"),
              "--guest", "demo,dirty-rate=5000,working-set=16M"),
        start(checkout, *common, "--qmp", "unix:" + in_folder("dst.sock"), "--serial", "file:" + in_folder("dst.log"),
              "--incoming", "defer"),
    ]
    try:
        source, destination = Qmp(in_folder("src.sock")), Qmp(in_folder("dst.sock"))
        beats = lambda end: end.command("x-godwit-heartbeats")["vcpus"]
        source.until(lambda: all(beat["count"] > 20 for beat in beats(source)), "the guest to run")
        for end in (source, destination):
            end.command("migrate-set-capabilities", capabilities=[{"capability": "return-path", "state": True}])
        uri = "unix:" + in_folder("migration.sock")
        destination.command("migrate-incoming", uri=uri)
        source.command("migrate", uri=uri)
        source.until(lambda: source.command("query-migrate")["status"] in ("completed", "failed"), "the migration")
        destination.until(lambda: destination.command("query-status")["running"], "the guest to run here")
        stopped_at = sum(beat["generation"] for beat in beats(source))
        destination.until(lambda: sum(b["generation"] for b in beats(destination)) > stopped_at + 10000, "two sweeps")
        result = {
            "greeting": source.greeting["version"],
            "source": {**source.command("query-migrate"), "runstate": source.command("query-status")["status"]},
            "destination": {**destination.command("query-migrate"), "runstate": destination.command("query-status")["status"]},
            "corrupt": any("CORRUPT" in open(in_folder(log), encoding="latin-1").read() for log in ("src.log", "dst.log")),
            "grew": sum(beat["generation"] for beat in beats(destination)) > stopped_at,
        }
        for end in (source, destination):
            end.command("quit")
        result["exits"] = [process.wait(timeout=DEADLINE_S) for process in processes]
        print(json.dumps(result))
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()


main()
