"""A tiny Hub on loopback with the part of the protocol that is needed to push, load and evaluate.

It has one user, `someone`, with the token `TOKEN`, and keeps everything in memory. A request that is not implemented gets
a 404 and is listed in `requests`, so that a new request of the client is found quickly.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants

USER = "someone"
TOKEN = "hf_loopback"
LARGE = (".safetensors", ".png")  # uploaded by LFS, whatever their size
REPO = r"(?P<id>[\w.-]+/[\w.-]+)"


@dataclass(frozen=True)
class Commit:
    """A state of a branch."""

    sha: str
    message: str
    files: dict[str, bytes]


@dataclass
class Repo:
    """A repository: branch -> its commits, oldest first."""

    kind: str
    private: bool
    branches: dict[str, list[Commit]] = field(default_factory=dict)

    def find(self, revision: str) -> Commit | None:
        if revision in self.branches:
            return self.branches[revision][-1]
        return next((commit for line in self.branches.values() for commit in line if commit.sha == revision), None)

    def commit(self, branch: str, message: str, files: dict[str, bytes]) -> Commit:
        line = self.branches.setdefault(branch, [])
        text = repr((message, len(line), [commit.sha for commit in line], sorted(files.items())))
        line.append(Commit(hashlib.sha1(text.encode()).hexdigest(), message, files))
        return line[-1]


class HubServer(ThreadingHTTPServer):
    """`with HubServer() as hub:` serves `hub.endpoint` until the block ends.

    Attributes:
        repos: Repositories by (kind, id).
        requests: Every request, as `"METHOD /path"`.
        failures: Status and message to send instead of the normal response, by a pattern of such a line.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        self.repos: dict[tuple[str, str], Repo] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.failures: dict[str, tuple[int, str]] = {}

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()

    def add(self, repo_id: str, kind: str = "model", private: bool = False, **files: str) -> Repo:
        """Create a repository with a first commit, as the Hub does."""
        repo = self.repos[kind, repo_id] = Repo(kind, private)
        first = {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}
        repo.commit("main", "initial commit", first | {name: text.encode() for name, text in files.items()})
        return repo


def connect(monkeypatch, server: HubServer) -> None:
    """Connect the client in this process to the server. In another process set `HF_ENDPOINT` before it starts."""
    for name, value in {"ENDPOINT": server.endpoint, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}.items():
        monkeypatch.setattr(constants, name, value)
    # transformers keeps a client, which may be that of the server of an earlier test.
    monkeypatch.setattr("transformers.utils.hub._hf_api", None, raising=False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *args):
        pass

    def _handle(self):
        body, path = self._read(), unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        for pattern, (status, message) in self.server.failures.items():
            if re.search(pattern, f"{self.command} {path}"):
                return self._answer(status, {"error": message}, {"X-Error-Message": message})
        for method, pattern, respond in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method:
                return respond(self, body, **match.groupdict())
        return self._answer(404, {"error": "Not implemented"}, {"X-Error-Code": "EntryNotFound"})

    do_GET = do_HEAD = do_POST = do_PUT = _handle

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, content: bytes | dict | list, headers: dict[str, str] | None = None) -> None:
        is_file = isinstance(content, bytes)
        content = content if is_file else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if is_file else "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    @property
    def _is_user(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _fail(self, status: int, code: str, message: str) -> None:
        self._answer(status, {"error": message}, {"X-Error-Code": code, "X-Error-Message": message})

    def _find(self, kind: str | None, name: str, writing: bool = False) -> Repo | None:
        """Return the repository, or send an error and return None."""
        repo = self.server.repos.get(((kind or "models").strip("/").removesuffix("s"), name))
        if writing and not self._is_user:
            self._fail(401, "", "Invalid username or password.")
        elif repo is None or (repo.private and not (self._is_user and name.startswith(f"{USER}/"))):
            self._fail(404, "RepoNotFound", "Repository not found")
        elif writing and not name.startswith(f"{USER}/"):
            self._fail(403, "", "You don't have the rights to push to this repository")
        else:
            return repo
        return None

    def _whoami(self, body):
        if not self._is_user:
            return self._fail(401, "", "Invalid credentials in Authorization header")
        return self._answer(200, {"type": "user", "name": USER, "orgs": []})

    def _create(self, body):
        wanted = json.loads(body)
        owner, kind = wanted.get("organization") or USER, wanted.get("type") or "model"
        name = f"{owner}/{wanted['name']}"
        if not self._is_user:
            return self._fail(401, "", "Invalid username or password.")
        if owner != USER:
            return self._fail(403, "", f"You don't have the rights to create a {kind} under the namespace {owner!r}.")
        if (kind, name) in self.server.repos:
            return self._fail(409, "", "You already created this repo")
        self.server.add(name, kind, wanted.get("private") or wanted.get("visibility") == "private")
        prefix = "spaces/" if kind == "space" else ""
        return self._answer(200, {"url": f"{self.server.endpoint}/{prefix}{name}"})

    def _validate(self, body):
        return self._answer(200, {"errors": [], "warnings": []})

    def _info(self, body, kind, id, revision=None):
        if (repo := self._find(kind, id)) is None:
            return None
        if (commit := repo.find(revision or "main")) is None:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        names = [{"rfilename": name} for name in sorted(commit.files)]
        return self._answer(
            200, {"id": id, "modelId": id, "sha": commit.sha, "private": repo.private, "tags": [], "siblings": names}
        )

    def _branch(self, body, kind, id, revision):
        if (repo := self._find(kind, id, writing=True)) is None:
            return None
        repo.branches[revision] = list(repo.branches["main"])
        return self._answer(200, {})

    def _tree(self, body, kind, id, revision, path=""):
        if (repo := self._find(kind, id)) is None:
            return None
        if (commit := repo.find(revision)) is None:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        inside = [name for name in sorted(commit.files) if not path or name.startswith(f"{path}/")]
        if path and not inside:
            return self._fail(404, "EntryNotFound", f"{path} does not exist")
        return self._answer(
            200,
            [
                {"type": "file", "path": name, "size": len(commit.files[name]), "oid": git_oid(commit.files[name])}
                for name in inside
            ],
        )

    def _preupload(self, body, kind, id, revision):
        if (repo := self._find(kind, id, writing=True)) is None:
            return None
        there = commit.files if (commit := repo.find(revision)) else {}
        files = []
        for file in json.loads(body)["files"]:
            name, large = file["path"], file["path"].endswith(LARGE)
            oid = (sha256 if large else git_oid)(there[name]) if name in there else None
            mode = "lfs" if large else "regular"
            files.append({"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return self._answer(200, {"files": files})

    def _batch(self, body, kind, id):
        if self._find(kind, id, writing=True) is None:
            return None
        objects = []
        for wanted in json.loads(body)["objects"]:
            actions = {
                "upload": {"href": f"{self.server.endpoint}/large/{wanted['oid']}"},
                "verify": {"href": f"{self.server.endpoint}/verify"},
            }
            missing = wanted["oid"] not in self.server.large
            objects.append(wanted | ({"actions": actions} if missing else {}))
        return self._answer(200, {"transfer": "basic", "objects": objects})

    def _put(self, body, oid):
        self.server.large[oid] = body
        return self._answer(200, {})

    def _get(self, body, oid):
        return self._answer(200, self.server.large[oid])

    def _verify(self, body):
        wanted = json.loads(body)
        content = self.server.large.get(wanted["oid"], b"")
        right = sha256(content) == wanted["oid"] and len(content) == wanted["size"]
        return self._answer(200 if right else 422, {})

    def _commit(self, body, kind, id, revision):
        if (repo := self._find(kind, id, writing=True)) is None:
            return None
        header, *operations = (json.loads(line) for line in body.splitlines())
        if (before := repo.find(revision)) is None or revision not in repo.branches:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if header["value"].get("parentCommit", before.sha) != before.sha:
            return self._fail(412, "", "A commit has happened since. Please refresh and try again.")
        files = dict(before.files)
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            else:
                del files[value["path"]]
        commit = repo.commit(revision, header["value"]["summary"], files)
        prefix = "spaces/" if kind == "spaces" else ""
        url = f"{self.server.endpoint}/{prefix}{id}/commit/{commit.sha}"
        return self._answer(200, {"success": True, "commitOid": commit.sha, "commitUrl": url})

    def _resolve(self, body, kind, id, revision, path):
        if (repo := self._find(kind, id)) is None:
            return None
        if (commit := repo.find(revision)) is None:
            return self._fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if path not in commit.files:
            headers = {
                "X-Repo-Commit": commit.sha,
                "X-Error-Code": "EntryNotFound",
                "X-Error-Message": "Entry not found",
            }
            return self._answer(404, {}, headers)
        content, headers = commit.files[path], {"X-Repo-Commit": commit.sha}
        if not path.endswith(LARGE):
            return self._answer(200, content, headers | {"ETag": f'"{git_oid(content)}"'})
        oid = sha256(content)
        linked = {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        # Another host, as the Hub's storage is: the client follows redirects within one host only.
        storage = f"http://localhost:{self.server.server_address[1]}/large/{oid}"
        return self._answer(302, b"", headers | linked | {"Location": storage})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


API = rf"/api/(?P<kind>models|spaces)/{REPO}"
ROUTES = [
    ("GET", "/api/whoami-v2", _Handler._whoami),
    ("POST", "/api/repos/create", _Handler._create),
    ("POST", "/api/validate-yaml", _Handler._validate),
    ("GET", API, _Handler._info),
    ("GET", rf"{API}/revision/(?P<revision>.+)", _Handler._info),
    ("POST", rf"{API}/branch/(?P<revision>.+)", _Handler._branch),
    ("GET", rf"{API}/tree/(?P<revision>[^/]+)(?:/(?P<path>.+))?", _Handler._tree),
    ("POST", rf"{API}/preupload/(?P<revision>.+)", _Handler._preupload),
    ("POST", rf"{API}/commit/(?P<revision>.+)", _Handler._commit),
    ("POST", rf"/(?P<kind>spaces/)?{REPO}\.git/info/lfs/objects/batch", _Handler._batch),
    ("PUT", "/large/(?P<oid>[0-9a-f]{64})", _Handler._put),
    ("GET HEAD", "/large/(?P<oid>[0-9a-f]{64})", _Handler._get),
    ("POST", "/verify", _Handler._verify),
    ("GET HEAD", rf"/(?P<kind>spaces/)?{REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Handler._resolve),
]
