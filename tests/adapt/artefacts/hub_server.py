"""A stand-in for the hub's HTTP interface on loopback: repositories in memory, every commit a snapshot of its files."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_standin"


class Store:
    """name -> commits (id -> path -> content) and branches (name -> id)."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.branches: dict[str, dict[str, str]] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[str] = []

    def files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        commit = self.branches.get(name, {}).get(revision, revision)
        return (commit, self.commits[name][commit]) if commit in self.commits.get(name, {}) else None


class Handler(BaseHTTPRequestHandler):
    store: Store
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, content: bytes = b"", head: bool = False, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if not head:
            self.wfile.write(content)

    def as_json(self, value: object, status: int = 200, **headers: str) -> None:
        self.answer(status, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def parts(self) -> list[str]:
        path = urlsplit(self.path).path
        self.store.asked.append(f"{self.command} {path}")
        return [unquote(part) for part in path.strip("/").split("/")]

    def do_HEAD(self) -> None:
        self.do_GET(head=True)

    def do_GET(self, head: bool = False) -> None:
        match self.parts():
            case ["api", "models", owner, name, *rest]:
                revision = rest[1] if rest[:1] in (["revision"], ["tree"]) else "main"
                found = self.store.files(f"{owner}/{name}", revision)
                if found is None:
                    code = "RevisionNotFound" if f"{owner}/{name}" in self.store.commits else "RepoNotFound"
                    return self.as_json({"error": "not there"}, 404, X_Error_Code=code)
                entries = [{"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                           for path, content in found[1].items()]
                if rest[:1] == ["tree"]:
                    return self.as_json(entries)
                return self.as_json({"id": f"{owner}/{name}", "modelId": f"{owner}/{name}", "sha": found[0], "tags": [],
                                     "private": self.store.private[f"{owner}/{name}"], "downloads": 0, "likes": 0,
                                     "siblings": [{"rfilename": entry["path"]} for entry in entries]})
            case [owner, name, "resolve", revision, *path]:
                found = self.store.files(f"{owner}/{name}", revision)
                if found is None or "/".join(path) not in found[1]:
                    return self.as_json({"error": "not there"}, 404, X_Error_Code="EntryNotFound")
                content = found[1]["/".join(path)]
                return self.answer(200, content, head, X_Repo_Commit=found[0], ETag=f'"{hashlib.sha1(content).hexdigest()}"')
        self.as_json({"error": "not there"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = self.parts()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.as_json({"error": "Invalid credentials in Authorization header"}, 401)
        match parts:
            case ["api", "repos", "create"]:
                asked = json.loads(body)
                name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
                known = name in self.store.commits
                if not known:
                    first = hashlib.sha1(name.encode()).hexdigest()
                    self.store.commits[name], self.store.branches[name] = {first: {}}, {"main": first}
                    self.store.private[name] = bool(asked.get("private")) or asked.get("visibility") == "private"
                host = self.headers["Host"]
                return self.as_json({"url": f"http://{host}/{name}", "name": name, "id": name}, 409 if known else 200)
            case ["api", "models", owner, name, "branch", branch]:
                branches = self.store.branches[f"{owner}/{name}"]
                known = branch in branches
                branches.setdefault(branch, branches["main"])
                return self.as_json({}, 409 if known else 200)
            case ["api", "models", owner, name, "preupload", _]:
                return self.as_json({"files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                                               for file in json.loads(body)["files"]]})
            case ["api", "models", owner, name, "commit", branch]:
                name = f"{owner}/{name}"
                found = self.store.files(name, branch)
                assert found is not None
                files = dict(found[1])
                for line in body.splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "file":
                        files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
                commit = hashlib.sha1(found[0].encode() + body).hexdigest()
                self.store.commits[name][commit] = files
                self.store.branches[name][branch] = commit
                host = self.headers["Host"]
                return self.as_json({"success": True, "commitOid": commit, "commitUrl": f"http://{host}/{name}/commit/{commit}",
                                     "hookOutput": ""})
            case ["api", "validate-yaml"]:
                return self.as_json({"errors": [], "warnings": []})
        self.as_json({"error": "not there"}, 404)


@contextmanager
def hub() -> Iterator[tuple[str, Store]]:
    """The address of a running stand-in, and what it holds."""
    store = Store()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"store": store, "timeout": 30}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", store
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
