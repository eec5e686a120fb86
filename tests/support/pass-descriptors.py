# SPDX-License-Identifier: Apache-2.0
"""Passes descriptors to monitors (SCM_RIGHTS), which no socket of Node can do.

Reads from its standard input a list of steps in JSON, each {"monitor": path, "execute": name, "arguments": {...},
"pass": [name, ...]}; writes the replies as a JSON list. The names of descriptors: "a" and "b" are the two ends of a
socket pair, "r" and "w" those of a pipe, "f" is a regular file, "null" is /dev/null. Its own copies are gone when it has
ended: what was passed on lives on at the monitors only.
"""
import json
import os
import socket
import sys
import tempfile


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.lines.readline()
        self.execute({"execute": "qmp_capabilities"}, [])

    def execute(self, request, descriptors):
        text = json.dumps(request).encode() + b"\n"
        if descriptors:
            socket.send_fds(self.socket, [text], descriptors)
        else:
            self.socket.sendall(text)
        while True:
            reply = json.loads(self.lines.readline())
            if "event" not in reply:
                return reply


def main():
    steps = json.load(sys.stdin)
    first, second = socket.socketpair()
    read_end, write_end = os.pipe()
    with tempfile.TemporaryFile() as file:
        names = {
            "a": first.detach(),
            "b": second.detach(),
            "r": read_end,
            "w": write_end,
            "f": os.dup(file.fileno()),
            "null": os.open("/dev/null", os.O_RDWR),
        }
    monitors = {}
    replies = []
    for step in steps:
        path = step["monitor"]
        if path not in monitors:
            monitors[path] = Monitor(path)
        passed = [names[name] for name in step.get("pass", [])]
        request = {"execute": step["execute"], "arguments": step.get("arguments", {})}
        replies.append(monitors[path].execute(request, passed))
    json.dump(replies, sys.stdout)


main()
