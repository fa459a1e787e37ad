"""What CI shows of a run: GitHub's log and summary, Markdown files, exit codes."""

from __future__ import annotations

import re

import pytest

from .project import Project

RECORD = ("--lm-model=pupil", "--lm-update-baseline")
# Of the pupil's task: enough documents for a drop to be certain.
WORSE = ("--lm-model=pupil,knows=20", "--lm-baseline=pupil")
MANY = range(60)
FINE = "--lm-exit-codes=fine"


@pytest.fixture
def recorded(project: Project) -> Project:
    """Two tasks of 60 documents, with baselines."""
    project.choice_task("rivers", MANY)
    project.choice_task("lakes", MANY)
    project.run(*RECORD)
    return project


@pytest.fixture
def on_github(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    return project


BROKEN = ("--lm-model=pupil,breaks=rivers", "-k", "rivers", "-n", "2")
AT = "file={folder}/tasks/{task}.yaml,line=1,title={task} {verdict}"


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [(WORSE, [("lakes", "regressed"), ("rivers", "regressed")], 1), (BROKEN, [("rivers", "error")], 21)],
    ids=["alone", "workers"],
)
def test_a_run_on_github(
    recorded: Project, on_github: Project, arguments: tuple[str, ...], told: list[tuple[str, str]], code: int
) -> None:
    result = recorded.run(*arguments, "--lm-report=md:report.md", FINE)
    assert result.ret == code
    lines = result.stdout.lines
    [stop] = [line for line in lines if line.startswith("::stop-commands::")]
    token = stop.removeprefix("::stop-commands::")
    assert re.fullmatch(r"[0-9a-f]{32}", token)
    # Nothing is obeyed from the first line on until all is told.
    assert lines.index(stop) < next(at for at, line in enumerate(lines) if "test session starts" in line)
    again = lines.index(f"::{token}::")
    assert max(at for at, line in enumerate(lines) if line.startswith(("FAILED", "ERROR"))) < again
    places = [AT.format(folder=recorded.path.name, task=task, verdict=verdict) for task, verdict in told]
    assert [line.split("::")[1] for line in lines[again + 1 :] if line.startswith("::")] == [
        *(f"error {place}" for place in places),
        "notice title=language model evaluation",
    ]
    summary, report = recorded.read("summary.md"), recorded.read("report.md")
    assert summary.strip() == report.strip()
    assert "> [!CAUTION]" in report
    assert told[0][1].upper() in report


def test_elsewhere_and_where_it_is_off_the_log_is_pytests_own(
    recorded: Project, on_github: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any(line.startswith("::") for line in recorded.run(*WORSE, "--lm-github=off").stdout.lines)
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert not any(line.startswith("::") for line in recorded.run(*WORSE).stdout.lines)
    assert not (recorded.path / "summary.md").exists()
    assert any(line.startswith("::error") for line in recorded.run(*WORSE, "--lm-github=on").stdout.lines)


HOSTILE = """
def test_prints(lm):
    print("::error::from a model\\n  ::stop-commands::mine\\n::mine::\\nx ##[add-mask]secret")
    assert 0, "first\\n::set-output name=a::b"
"""


def test_what_a_test_prints_gives_no_commands(project: Project, on_github: Project) -> None:
    """The log, as GitHub's runner reads it: a command at a line's beginning, of the old form anywhere."""
    project.python(HOSTILE)
    obeyed, token = [], ""
    for line in project.run("--lm-model=fake", "-s", "test_own.py").stdout.lines:
        found = re.match(r"\s*::([\w-]+)[^:]*::(.*)", line) or re.search(r"##\[([\w-]+)[^\]]*\](.*)", line)
        if found is None:
            continue
        if token:
            token = "" if found[1] == token else token
        elif found[1] == "stop-commands":
            token = found[2]
        else:
            obeyed.append(line)
    assert token == ""
    assert obeyed == []


def test_a_run_that_ends_badly_gives_commands_back(project: Project, on_github: Project) -> None:
    project.write("conftest.py", "def pytest_collection_finish():\n    raise RuntimeError('out of paper')\n")
    project.choice_task("rivers")
    result = project.run("--lm-model=fake")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    [stop] = [line for line in result.stdout.lines if line.startswith("::stop-commands::")]
    assert f"::{stop.removeprefix('::stop-commands::')}::" in result.stdout.lines


def test_a_summary_that_cannot_be_written_fails_no_run(
    project: Project, on_github: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "missing" / "summary.md"))
    project.choice_task("rivers")
    result = project.run("--lm-model=fake")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["no job summary: No such file or directory"])


UNSURE = ("--lm-model=pupil,knows=58", "--lm-baseline=pupil", "--lm-on-inconclusive=fail", "--lm-margin=1pp")


def test_exit_codes_tell_why_a_run_failed(recorded: Project) -> None:
    run = recorded.run
    unsure = (*UNSURE, "-k", "rivers")
    assert run(*unsure).ret == pytest.ExitCode.TESTS_FAILED
    assert run(*unsure, FINE).ret == 20
    # An engine that breaks, and questions that changed since.
    assert run("--lm-model=pupil,breaks=rivers", FINE).ret == 21
    recorded.write("tasks/rivers.yaml", recorded.read("tasks/rivers.yaml").replace("{{question}}", "Say: {{question}}"))
    assert run("--lm-model=pupil", FINE).ret == 21
    # Beside one of these, a regression is one.
    result = run(*WORSE, FINE)
    result.assert_outcomes(failed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_no_exit_code_hides_another_failure(recorded: Project) -> None:
    broken = ("--lm-model=pupil,breaks=rivers", FINE)
    recorded.python("def test_sum():\n    assert 1 + 1 == 3\n")
    assert recorded.run(*broken).ret == pytest.ExitCode.TESTS_FAILED
    assert recorded.run(*broken, "-m", "lmeval").ret == 21
    assert recorded.run(*UNSURE, FINE, "-m", "lmeval", "--lm-model=pupil,knows=58,breaks=lakes").ret == 1
    assert recorded.run("--lm-model=pupil", FINE, "-m", "lmeval").ret == pytest.ExitCode.OK
    assert recorded.run("--lm-model=pupil", FINE, "-k", "nothing").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert recorded.run("--lm-model=pupil", "--lm-exit-codes=finest").ret == pytest.ExitCode.USAGE_ERROR
