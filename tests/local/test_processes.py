"""Children start, are watched, and are gone afterwards, whatever ends the parent."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from flows_platform.domain.errors import ConfigurationError, ProcessFailed, WarehouseUnavailable
from flows_platform.local.child import ChildProcess
from flows_platform.local.ports import Address, free_port, listens
from flows_platform.local.supervisor import Supervisor
from flows_platform.runtime.locks import try_lock
from tests.conditions import eventually

SLEEP = "import time; print('up', flush=True); time.sleep(600)"


def python(name: str, code: str, log: Path, **settings: object) -> ChildProcess:
    return ChildProcess(name, (sys.executable, "-c", textwrap.dedent(code)), log, **settings)  # type: ignore[arg-type]


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second where it ends between opening and reading
        return False
    return state != "Z"


def server(port: int) -> str:
    return f"""
        import http.server
        http.server.HTTPServer(("127.0.0.1", {port}), http.server.SimpleHTTPRequestHandler).serve_forever()
    """


def test_start_waits_until_each_is_ready_and_leaving_stops_all(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    children = [
        python(f"web{port}", server(port), tmp_path / f"{port}.log", ready=lambda port=port: listens(port))
        for port in ports
    ]
    with Supervisor() as supervisor:
        started = supervisor.start(*children)
        assert all(listens(port) for port in ports)
        assert supervisor.wait(timeout=0.1) is None
    assert not any(listens(port) for port in ports)
    assert not any(running(child.pid) for child in started)


def test_launched_children_get_ready_while_the_caller_works(tmp_path: Path) -> None:
    port = free_port()
    child = python("web", server(port), tmp_path / "web.log", ready=lambda: listens(port))
    unready = python("unready", SLEEP, tmp_path / "unready.log", ready=lambda: False, ready_timeout=0.5)
    with Supervisor() as supervisor:
        launched = supervisor.launch(child, unready)  # would not return if it waited
        assert supervisor.children == launched
        assert supervisor.await_ready(launched[0]) == launched[:1]
        assert listens(port)
        with pytest.raises(ProcessFailed, match="unready was not ready"):
            supervisor.await_ready(launched[1])


def test_output_goes_to_the_sink_with_the_name_and_to_the_log(tmp_path: Path) -> None:
    lines: list[str] = []
    log = tmp_path / "logs" / "talk.log"
    with Supervisor(lines.append) as supervisor:
        supervisor.start(python("talker", "import sys; print('one'); print('two', file=sys.stderr)", log))
        ended = supervisor.wait(timeout=60)
    assert ended is not None
    assert ended.exit_code() == 0
    assert sorted(lines) == ["talker | one", "talker | two"]
    assert sorted(log.read_text().split()) == ["one", "two"]


def test_a_child_that_ends_at_once_is_told_with_its_last_lines_and_the_others_stop(tmp_path: Path) -> None:
    sleeper = python("sleeper", SLEEP, tmp_path / "a.log")
    broken = python("broken", "raise SystemExit('no such table')", tmp_path / "b.log", ready=lambda: False)
    pids: list[int] = []
    with pytest.raises(ProcessFailed, match=r"(?s)broken ended with exit code 1.*no such table.*b\.log"):  # noqa: SIM117, PT012
        with Supervisor() as supervisor:
            pids += [child.pid for child in supervisor.start(sleeper)]
            supervisor.start(broken)
    assert not running(pids[0])


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    child = ChildProcess("ghost", ("/nonexistent/program",), tmp_path / "g.log", ready=lambda: False)
    with Supervisor() as supervisor, pytest.raises(ProcessFailed, match="cannot be started"):
        supervisor.start(child)


def test_a_child_that_never_gets_ready_is_told(tmp_path: Path) -> None:
    spoke = threading.Event()

    def ready() -> bool:
        assert spoke.wait(60)
        return False

    child = python("slow", SLEEP, tmp_path / "s.log", ready=ready, ready_timeout=0.0)
    with (
        Supervisor(lambda _: spoke.set()) as supervisor,
        pytest.raises(ProcessFailed, match=r"(?s)slow was not ready after 0 s.*up"),
    ):
        supervisor.start(child)


def test_a_broken_start_is_made_again(tmp_path: Path) -> None:
    starts: list[int] = []

    def ready() -> bool:
        if len(starts) < 3:
            raise WarehouseUnavailable("its database did not open")
        return True

    child = python("moody", SLEEP, tmp_path / "m.log", ready=ready, prepare=lambda: starts.append(1), tries=3)
    with Supervisor() as supervisor:
        (started,) = supervisor.start(child)
        assert started.exit_code() is None
    assert len(starts) == 3


def test_a_taken_port_is_named_with_the_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address = Address("127.0.0.1", port, "FLOWS_PORT")
        child = python("api", SLEEP, tmp_path / "p.log", addresses=(address,))
        with (
            Supervisor() as supervisor,
            pytest.raises(ConfigurationError, match=rf"api cannot listen on 127\.0\.0\.1:{port}.*FLOWS_PORT"),
        ):
            supervisor.start(child)
    assert not (tmp_path / "p.log").exists()


def test_a_free_port_is_none_that_a_program_without_a_choice_is_given() -> None:
    first = 32_768  # by default; a machine may be set otherwise
    assert max(free_port() for _ in range(200)) < first


def test_a_host_of_another_machine_has_no_free_port() -> None:
    with pytest.raises(ConfigurationError, match=r"no free port was found on 192\.0\.2\.1 among 100"):
        free_port("192.0.2.1")


def test_a_lock_is_held_as_long_as_the_child_lives(tmp_path: Path) -> None:
    lock = tmp_path / "data" / "lock"
    child = python("one", SLEEP, tmp_path / "1.log", lock=lock)
    with Supervisor() as supervisor:
        supervisor.start(child)
        assert try_lock(lock) is None
        with pytest.raises(ConfigurationError, match="another process uses"):
            supervisor.start(child)
    descriptor = try_lock(lock)
    assert descriptor is not None
    os.close(descriptor)


def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    log = tmp_path / "d.log"
    child = python("deaf", code, log, ready=lambda: log.exists() and "up" in log.read_text())
    with Supervisor(grace=0.3) as supervisor:
        (started,) = supervisor.start(child)
    assert not running(started.pid)


def test_a_child_may_be_started_from_a_thread_that_ends(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        thread = threading.Thread(target=supervisor.start, args=(python("kid", SLEEP, tmp_path / "k.log"),))
        thread.start()
        thread.join()
        assert supervisor.wait(timeout=0.5) is None


FAMILY = """
    import subprocess, sys, time
    kid = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("pids", __import__("os").getpid(), kid.pid, flush=True)
    time.sleep(600)
"""
PARENT = """
    import sys
    from pathlib import Path
    from flows_platform.local.child import ChildProcess
    from flows_platform.local.supervisor import Supervisor
    child = ChildProcess("family", (sys.executable, "-c", Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
    with Supervisor(lambda line: print(line, flush=True), grace=1.0) as supervisor:
        supervisor.start(child)
        supervisor.wait()
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, -2)], ids=str
)
def test_children_and_grandchildren_go_when_the_parent_is_ended(tmp_path: Path, number: int, code: int) -> None:
    (tmp_path / "family.py").write_text(textwrap.dedent(FAMILY))
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path / "family.py"), str(tmp_path / "f.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()[-2:]]
        assert all(running(pid) for pid in pids)
        parent.send_signal(number)
        assert parent.wait(60) == code
    assert eventually(lambda: not any(running(pid) for pid in pids))
