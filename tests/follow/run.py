"""Two strangers follow every event of a cluster over WebSocket while its nodes die and come back:
a Python program (with the `websockets` package) and a page in headless Chromium. What both heard is
compared, event by event, with what the state machine says when it is fed the log of each node.

    tests/follow/run [--seconds 20]

`run` builds the programs and installs what is missing, and then calls this file.
"""

import argparse
import asyncio
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import websockets

HERE = pathlib.Path(__file__).parent
LAST = "the-last-key"
PATIENCE_S = 60


def free_ports(count):
    """Ports that are free now, all at once so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """Three nodes in processes of their own. Each begins with a snapshot when it is started again, so
    that the past is in its journal alone. Their logs are never cut, to be asked at the end."""

    def __init__(self, program, directory, origin):
        self.program, self.directory, self.origin = program, directory, origin
        ports = free_ports(6)
        self.clients = [f"127.0.0.1:{port}" for port in ports[:3]]
        self.peers = [f"127.0.0.1:{port}" for port in ports[3:]]
        self.nodes = [None] * 3
        self.kills = 0

    def start(self, index):
        members = []
        for at in range(3):
            members += ["--member", f"{at + 1}={self.clients[at]}/{self.peers[at]}"]
        log = open(self.directory / f"node-{index + 1}.log", "ab")
        self.nodes[index] = subprocess.Popen(
            [
                self.program, "serve", "--node-id", str(index + 1),
                "--data-dir", str(self.data(index)),
                "--client-listen", self.clients[index], "--peer-listen", self.peers[index],
                "--snapshot-entries", "50", "--keep-entries", str(1 << 30),
                "--watch-origins", self.origin, *members,
            ],
            stdout=log, stderr=log,
        )

    def data(self, index):
        return self.directory / f"data-{index + 1}"

    def stop(self, index, how):
        node, self.nodes[index] = self.nodes[index], None
        node.send_signal(how)
        node.wait(timeout=30)
        self.kills += 1

    def stop_all(self):
        for index, node in enumerate(self.nodes):
            if node:
                self.stop(index, signal.SIGTERM)

    def call(self, *arguments):
        """Runs a client command; returns its output, or None if it failed."""
        done = subprocess.run(
            [self.program, *arguments, "--endpoints", ",".join(self.clients)],
            capture_output=True, text=True, timeout=30, check=False,
        )
        return done.stdout if done.returncode == 0 else None

    def leader(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            said = self.call("status", "-o", "json")
            if said:
                for node in json.loads(said)["nodes"]:
                    if node.get("role") == "leader":
                        return self.clients.index(node["endpoint"])
            time.sleep(0.1)
        raise SystemExit("follow: no leader was elected")

    def level(self):
        """Waits until every node has applied what any of them has now: a quorum is enough for a
        write, so the log of the third may end before it."""
        goal, deadline = 0, time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            said = self.call("status", "-o", "json")
            nodes = json.loads(said)["nodes"] if said else []
            applied = [node.get("applied_index", 0) for node in nodes]
            goal = goal or max(applied, default=0)
            if goal and len(applied) == 3 and min(applied) >= goal:
                return
            time.sleep(0.1)
        raise SystemExit("follow: a node does not catch up")


class Writer(threading.Thread):
    """Uses locks, a queue and a cache until it is told to stop."""

    def __init__(self, cluster):
        super().__init__()
        self.cluster, self.enough, self.done, self.failed = cluster, threading.Event(), 0, 0

    def run(self):
        number = 0
        while not self.enough.is_set():
            number += 1
            calls = [
                ["cache", "put", "follow/cache", f"key-{number % 7}", str(number)],
                ["queue", "push", "follow/queue", f"message {number}"],
                ["queue", "pop", "follow/queue", "--wait", "0s"],
                ["cache", "add", "follow/cache", "counter", "1"],
            ]
            for call in calls + [None]:
                if call is None:
                    worked = self.lock(number)
                else:
                    worked = self.cluster.call(*call) is not None
                self.done += worked
                self.failed += not worked

    def lock(self, number):
        endpoints = ["--endpoints", ",".join(self.cluster.clients)]
        command = [self.cluster.program, "lock", f"follow/lock-{number % 3}", *endpoints]
        ended = subprocess.run([*command, "--", "true"], capture_output=True, check=False)
        return ended.returncode == 0


async def follow(endpoints):
    """Everything that happened until the last key was put, heard from whatever node is there."""
    heard, connections, at = [], 0, {"from_revision": 1, "from_index": 0}
    while True:
        connections += 1
        endpoint = endpoints[connections % len(endpoints)]
        try:
            async with websockets.connect(f"ws://{endpoint}/v1/watch", open_timeout=3) as node:
                await node.send(json.dumps({"type": "subscribe", "id": "python", **at}))
                async for text in node:
                    said = json.loads(text)
                    if said["type"] == "event":
                        heard.append(said)
                        at = {"from_revision": said["revision"], "from_index": said["index"] + 1}
                        if said["kind"] == "cache.put" and said["key"] == LAST:
                            return {"heard": heard, "connections": connections}
                    elif said["type"] == "progress":
                        at = {"from_revision": said["revision"] + 1, "from_index": 0}
                    elif said["type"] == "error" and said["retryable"]:
                        break
                    elif said["type"] != "subscribed":
                        heard.append(said)
        except (OSError, websockets.exceptions.WebSocketException, TimeoutError):
            await asyncio.sleep(0.05)


class PageServer(http.server.ThreadingHTTPServer):
    """Serves the page and takes what it hands in."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Page)
        self.result, self.handed_in = None, threading.Event()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (HERE / "page.html").read_bytes()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.result = json.loads(body)
        self.server.handed_in.set()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def browse(page, directory):
    """Opens the page in a browser of its own."""
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-quic",
        f"--user-data-dir={directory / 'chromium'}",
    ]
    log = open(directory / "chromium.log", "wb")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    return subprocess.Popen(
        [program, *flags, "--remote-debugging-port=0", page],
        stdout=log, stderr=log, start_new_session=True,
    )


def said_by_log(program, directory):
    """The events of a log, as the state machine tells them."""
    out = subprocess.run([program, str(directory)], capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in out.stdout.splitlines()]
    end = next(at for at, e in enumerate(events) if e["kind"] == "cache.put" and e["key"] == LAST)
    return events[: end + 1]


def compare(who, heard, expected):
    """Fails at the first difference."""
    heard = [{k: v for k, v in said.items() if k not in ("id", "type")} for said in heard]
    for at, (one, other) in enumerate(zip(heard, expected)):
        if one != other:
            raise SystemExit(f"follow: {who}: event {at} is {one}, and should be {other}")
    if len(heard) != len(expected):
        raise SystemExit(f"follow: {who} heard {len(heard)} events of {len(expected)}")


def disturb(cluster, seconds):
    """Kills the leader, stops others in good order, and starts each again. Every node is stopped
    twice at least, so that whoever follows has to move twice at least, wherever it is."""
    end = time.monotonic() + seconds
    turns = 0
    while time.monotonic() < end or turns < 12:
        time.sleep(random.uniform(0.2, 0.8))
        if turns % 2 == 0:
            index, how = cluster.leader(), signal.SIGKILL
        else:
            index, how = turns // 2 % 3, signal.SIGTERM
        cluster.stop(index, how)
        time.sleep(random.uniform(0.2, 0.8))
        cluster.start(index)
        turns += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--holdfast", required=True, help="the program under test")
    parser.add_argument("--events", required=True, help="prints the events of a log")
    parser.add_argument("--seconds", type=float, default=20, help="how long nodes die")
    arguments = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-follow-"))
    pages = PageServer()
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{pages.server_port}"
    cluster = Cluster(arguments.holdfast, directory, origin)
    browser, python = None, {}
    try:
        for index in range(3):
            cluster.start(index)
        cluster.leader()
        thread = threading.Thread(
            target=lambda: python.update(asyncio.run(follow(cluster.clients))), daemon=True
        )
        thread.start()
        page = f"{origin}/?endpoints={','.join(cluster.clients)}&last={LAST}"
        browser = browse(page, directory)
        writer = Writer(cluster)
        writer.start()
        disturb(cluster, arguments.seconds)
        writer.enough.set()
        writer.join()
        cluster.leader()
        while cluster.call("cache", "put", "follow/cache", LAST, "x") is None:
            time.sleep(0.1)
        thread.join(PATIENCE_S)
        if not python:
            raise SystemExit("follow: the Python client never heard the last event")
        if not pages.handed_in.wait(PATIENCE_S):
            raise SystemExit(f"follow: the page never heard the last event: {directory}")
        cluster.level()
        cluster.stop_all()
        for index in range(3):
            expected = said_by_log(arguments.events, cluster.data(index))
            compare("the Python client", python["heard"], expected)
            compare("the page", pages.result["heard"], expected)
        if writer.done < 50 or python["connections"] < 3 or pages.result["connections"] < 3:
            raise SystemExit(f"follow: too little happened: {writer.done} calls")
        print(
            f"follow: {len(expected)} events, each once and in order, heard by a Python client over "
            f"{python['connections']} connections and by a page over "
            f"{pages.result['connections']}; {cluster.kills - 3} stops of nodes; {writer.done} calls "
            f"worked, {writer.failed} failed"
        )
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        if browser:
            os.killpg(browser.pid, signal.SIGKILL)
        for node in cluster.nodes:
            if node:
                node.kill()


if __name__ == "__main__":
    sys.exit(main())
