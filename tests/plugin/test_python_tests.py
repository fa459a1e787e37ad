"""Python tests that ask the model: ``lm_evaluate``, ``@pytest.mark.lmeval``, ``lm_result`` and ``lm``."""

from __future__ import annotations

import pytest

from .conftest import Run
from .project import Project, text_of

EVALUATES = """
def test_own(lm_evaluate):
    assert lm_evaluate("rivers", limit=3)["acc"] >= 0.99
"""

MARKED = """
@pytest.mark.lmeval("rivers", gate={"acc": {"min": 0.99}})
def test_own():
    pass
"""


@pytest.mark.parametrize("test", [EVALUATES, MARKED], ids=["evaluate", "mark"])
def test_good_enough(project: Project, run: Run, test: str) -> None:
    project.choice_task("rivers")
    project.python(test)
    run("--lm-model=pupil", "test_own.py").assert_outcomes(passed=1)


def test_a_failed_assert_explains_the_score(project: Project) -> None:
    project.choice_task("rivers")
    project.python(EVALUATES)
    result = project.run("--lm-model=pupil,knows=0", "test_own.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *assert rivers acc = 0.0000 ± 0.0000 (n=3) >= 0.99"])
    result = project.run("--lm-model=pupil,knows=2", "--lm-limit=first:3", "test_own.py")
    result.stdout.fnmatch_lines(["*rivers*3*acc*TEST-FAILED*"])


def test_a_marked_test_fails_by_its_gate(project: Project, run: Run) -> None:
    project.choice_task("rivers")
    project.python(MARKED)
    result = run("--lm-model=pupil,knows=4", "test_own.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["rivers: BELOW THRESHOLD: acc 0.4000 is below its min 0.99 (n=10)", "  acc  0.4000 ± 0.1633  (n=10)"]
    )
    assert "Traceback" not in text_of(result)
    assert "pytest_lmeval/" not in text_of(result)


def test_a_marked_test_fails_by_its_body_first(project: Project) -> None:
    project.choice_task("rivers")
    project.python(MARKED.replace("pass", "assert 1 == 2"))
    result = project.run("--lm-model=pupil,knows=4", "test_own.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *assert 1 == 2"])
    assert "BELOW" in text_of(result)


def test_a_mark_changes_what_is_asked(project: Project) -> None:
    project.choice_task("rivers")
    project.group()
    project.python(
        """
@pytest.mark.lmeval("rivers", limit="first:4")
def test_part(lm_result):
    assert (lm_result.n, lm_result.total, lm_result.task) == (4, 10, "rivers")

@pytest.mark.lmeval("waters", gate={"acc": {"min": 0.5}})
def test_group(lm_result):
    assert lm_result.members == ("lakes", "seas")

@pytest.mark.lmeval("rivers", limit=2)
@pytest.mark.parametrize("number", [1, 2])
class TestOwn:
    def test_own(self, lm_result, number):
        assert lm_result.n == 2
"""
    )
    project.run("--lm-model=pupil", "test_own.py").assert_outcomes(passed=4)
    # Two tests with one question: asked once.
    assert len([asked for asked in project.asked() if "|" in asked.text]) == 2 * (4 + 8 + 2)


def test_an_evaluation_has_all_metrics_and_the_result(project: Project) -> None:
    project.generation_task()
    project.python(
        """
def test_own(lm_evaluate):
    result = lm_evaluate("sums", num_fewshot=0, seed=3, gen_kwargs={"max_gen_toks": 2})
    assert list(result) == ["exact_match"] and len(result) == 1 and "f1" not in result
    score = result["exact_match"]
    assert (score, score.n) == (0.5, 6) and score.stderr > 0
    assert f"{score:.2f}" == "0.50"
    assert result.task_result.settings.seed == 3
    assert result.task_result.settings.generation["max_gen_toks"] == 2
"""
    )
    project.run("--lm-model=pupil,knows=3", "test_own.py").assert_outcomes(passed=1)


def test_a_metric_that_is_not_there(project: Project) -> None:
    project.choice_task("rivers")
    project.python("def test_own(lm_evaluate):\n    lm_evaluate('rivers')['f1']")
    result = project.run("--lm-model=pupil", "test_own.py")
    result.stdout.fnmatch_lines(["E *KeyError: \"rivers has no 'f1'; its metrics are acc\"", "test_own.py:4: KeyError"])
    assert "pytest_lmeval/" not in text_of(result)


def test_the_model_itself(project: Project, run: Run) -> None:
    project.python(
        """
def test_own(lm):
    right, wrong = lm.loglikelihood([("river 1", " south"), ("river 1", " north")])
    assert (right.logprob, right.is_greedy, wrong.logprob, wrong.is_greedy) == (-1.0, True, -2.0, False)
    assert lm.generate_until(["1 and", "6 and"], until=["\\n"], max_tokens=4) == ["2", "7"]
    assert len(lm.loglikelihood_rolling(["a b", "c"])) == 2
    assert lm.loglikelihood([]) == []
    assert lm.info.name == lm.backend.info.name == "fake"
"""
    )
    run("--lm-model=pupil", "test_own.py").assert_outcomes(passed=1)


def test_the_model_failing_is_told_at_the_tests_line(project: Project) -> None:
    project.python("def test_own(lm):\n    lm.generate_until(['a'])")
    result = project.run("--lm-model=fake,fail_every=1", "test_own.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E *BackendError: test_own: 1 of 1 requests were not answered:", "test_own.py:4: BackendError"]
    )
    assert "pytest_lmeval/" not in text_of(result)


def test_a_wrong_argument_is_told_at_the_tests_line(project: Project) -> None:
    project.python("def test_own(lm):\n    lm.generate_until('a')")
    result = project.run("--lm-model=fake", "test_own.py")
    result.stdout.fnmatch_lines(
        ["E *TypeError: generate_until: expected lists of prompts*", "test_own.py:4: TypeError"]
    )
    assert "pytest_lmeval/" not in text_of(result)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("def test_own(lm_evaluate): lm_evaluate('rivres')", "no task, group or tag is called 'rivres'.*rivers?"),
        ("def test_own(lm_evaluate): lm_evaluate('rivers', shots=1)", "lm_evaluate: unknown keyword 'shots'. Known: *"),
        ("def test_own(lm_evaluate): lm_evaluate('rivers', limit='x')", "limit: expected a number of documents*"),
        ("def test_own(lm_evaluate): lm_evaluate('demo')", "'demo' stands for 2 tasks; name one of them"),
        ("def test_own(lm_result): pass", "lm_result: this test names no task; mark it with @pytest.mark.lmeval*"),
        ("@pytest.mark.lmeval('rivres')\ndef test_own(): pass", "no task, group or tag is called 'rivres'.*rivers?"),
        ("@pytest.mark.lmeval('rivers', shots=1)\ndef test_own(): pass", "@pytest.mark.lmeval: unknown argument*"),
        ("@pytest.mark.lmeval('rivers', 'sums')\ndef test_own(): pass", "@pytest.mark.lmeval: expected the name of*"),
        ("@pytest.mark.lmeval(1)\ndef test_own(): pass", "@pytest.mark.lmeval: expected the name of one task*"),
        ("@pytest.mark.lmeval('rivers', limit=-1)\ndef test_own(): pass", "limit: expected a number of documents*"),
        ("@pytest.mark.lmeval('rivers', gate={'f1': 1})\ndef test_own(): pass", "*f1*"),
        (
            "@pytest.mark.lmeval('rivers', gate={'acc': {'mim': 1}})\ndef test_own(): pass",
            "@pytest.mark.lmeval: gate.acc.mim: unknown key*",
        ),
    ],
    ids=[
        "name",
        "keyword",
        "limit",
        "several",
        "no-mark",
        "mark",
        "argument",
        "two",
        "type",
        "share",
        "metric",
        "gate",
    ],
)
def test_mistakes_are_told_without_a_traceback(project: Project, test: str, message: str) -> None:
    project.choice_task("rivers")
    project.generation_task()
    project.python(test)
    result = project.run("--lm-model=pupil", "test_own.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([message])
    assert "pytest_lmeval/" not in text_of(result)
    full = text_of(project.run("--lm-model=pupil", "test_own.py", "--full-trace"))
    assert "pytest_lmeval/" in full


def test_their_questions_are_batched_with_those_that_follow(project: Project) -> None:
    project.choice_task("rivers")
    project.choice_task("brooks")
    project.python(
        """
def test_free(lm):
    lm.loglikelihood([("river 1", " south")])

@pytest.mark.lmeval("rivers", limit="first:2")
def test_marked():
    pass
"""
    )
    project.run("--lm-model=pupil,window=8", "test_own.py", "tasks/brooks.yaml").assert_outcomes(passed=3)
    notes = [asked.text for asked in project.asked()]
    # One stream for all of them, in the order of the items; its first window holds five questions of three items.
    assert notes.count("stream") == 1
    asked = [note.split("|")[0] for note in notes if "|" in note]
    assert asked == [
        "river 1",
        *(f"Where does rivers {n // 2} flow?" for n in range(4)),
        *(f"Where does brooks {n // 2} flow?" for n in range(20)),
    ]


def test_a_stopped_run_asks_no_more_than_a_window(project: Project) -> None:
    project.choice_task("brooks", extra="gate: {acc: {min: 0.5}}\n")
    project.choice_task("rivers")
    project.choice_task("streams", range(100))
    project.run("--lm-model=pupil,window=4,knows=0", "-x").assert_outcomes(failed=1)
    asked = [asked.text for asked in project.asked() if "|" in asked.text]
    assert len(asked) <= 20 + 4


def test_users_fixtures_and_captures_are_theirs(project: Project, run: Run) -> None:
    project.choice_task("rivers")
    project.python(
        """
def test_capsys(lm_evaluate, capsys):
    print("mine")
    lm_evaluate("rivers")
    assert capsys.readouterr() == ("mine\\n", "")

def test_capfd(lm_evaluate, capfd):
    print("mine")
    lm_evaluate("rivers", limit=2)
    assert capfd.readouterr() == ("mine\\n", "")
"""
    )
    run("--lm-model=pupil", "test_own.py").assert_outcomes(passed=2)
