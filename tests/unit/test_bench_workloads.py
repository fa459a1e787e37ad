from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scoring.workloads import (
    FIRST_N,
    WORKLOADS,
    Document,
    Sizes,
    Workload,
    build,
    chosen,
    for_trial,
    operation,
    resized,
    spread,
)
from pytest_lmeval.backends.protocol import GenerationRequest, LoglikelihoodRequest, RollingRequest
from pytest_lmeval.errors import DatasetError, SettingsError
from pytest_lmeval.tasks.catalogue import Catalogue
from pytest_lmeval.tasks.sources import Source, builtin_tasks

from .making import CHOICE, CHOICE_ROWS, task_file, write_rows

SIZES = Sizes(ours=3, peer=3, trial=2)


def small(folder: Path, **keys: object) -> list[Path]:
    task_file(folder, {**CHOICE, "fewshot_split": "train", **keys}, {"test": CHOICE_ROWS, "train": CHOICE_ROWS[:2]})
    return [folder]


def contexts(documents: list[Document]) -> list[str]:
    return [str(request.context) for d in documents for request in d if isinstance(request, LoglikelihoodRequest)]


def test_a_workload_has_the_tasks_own_requests_document_by_document(tmp_path: Path) -> None:
    workload = Workload(name="w", tasks=("small",), shots=0, sizes=SIZES)
    documents = build(workload, 3, None, small(tmp_path))
    assert [len(document) for document in documents] == [2, 3, 2]
    assert contexts(documents)[0] == "Q: one plus one\nA:"
    assert [request.id for document in documents for request in document] == list(range(7))
    assert operation(documents) == "loglikelihood"


def test_shots_and_keys_of_a_workload_replace_the_files(tmp_path: Path) -> None:
    split = {"fewshot_split": "train", **FIRST_N}
    workload = Workload(name="w", tasks=("small",), shots=1, sizes=SIZES, overrides=split)
    documents = build(workload, 3, None, small(tmp_path))
    assert contexts(documents)[0] == "Q: one plus one\nA: two\n\nQ: one plus one\nA:"
    assert {text.split("\n")[0] for text in contexts(documents)} == {"Q: one plus one"}


def test_documents_are_spread_over_the_tasks(tmp_path: Path) -> None:
    small(tmp_path / "a")
    small(tmp_path / "b", task="other", doc_to_text="Other {{question}}")
    workload = Workload(name="w", tasks=("small", "other"), shots=0, sizes=SIZES)
    texts = list(dict.fromkeys(contexts(build(workload, 3, None, [tmp_path]))))
    assert [text.startswith("Other") for text in texts] == [False, False, True]


def test_documents_come_from_the_folder_of_data(tmp_path: Path) -> None:
    workload = next(w for w in WORKLOADS if w.name == "lambada")
    rows = [{"text": "the cat saw the dog"}, {"text": "a bird in the tree"}]
    write_rows(tmp_path / "EleutherAI" / "lambada_openai" / "default" / "test.jsonl", rows)
    documents = build(workload, 9, tmp_path)
    pairs = [(r.context, r.continuation) for d in documents for r in d if isinstance(r, LoglikelihoodRequest)]
    assert pairs == [("the cat saw the", " dog"), ("a bird in the", " tree")]


def test_a_split_that_is_not_there_is_an_error_to_be_told(tmp_path: Path) -> None:
    (tmp_path / "EleutherAI" / "lambada_openai" / "default").mkdir(parents=True)
    with pytest.raises(DatasetError):
        build(next(w for w in WORKLOADS if w.name == "lambada"), 1, tmp_path)


def test_every_workload_names_shipped_tasks() -> None:
    catalogue = Catalogue([Source("builtin", (builtin_tasks(),))])
    assert all(len(catalogue.find(task)) == 1 for workload in WORKLOADS for task in workload.tasks)
    assert all(w.sizes.trial <= w.sizes.peer <= w.sizes.ours for w in WORKLOADS)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    assert [w.name for w in chosen(["wikitext", "lambada"])] == ["wikitext", "lambada"]
    assert chosen([]) == list(WORKLOADS)
    with pytest.raises(SettingsError, match="Did you mean 'lambada'"):
        chosen(["lambda"])


@pytest.mark.parametrize(
    ("sizes", "documents", "peer", "expected"),
    [
        (Sizes(ours=24, peer=24, trial=8), None, None, Sizes(ours=24, peer=24, trial=8)),
        (Sizes(ours=24, peer=24, trial=8), 50, None, Sizes(ours=50, peer=50, trial=8)),
        (Sizes(ours=24, peer=24, trial=8), 4, None, Sizes(ours=4, peer=4, trial=4)),
        (Sizes(ours=100, peer=3, trial=2), 500, None, Sizes(ours=500, peer=3, trial=2)),
        (Sizes(ours=100, peer=3, trial=2), None, 200, Sizes(ours=100, peer=100, trial=2)),
        (Sizes(ours=100, peer=3, trial=2), 2, 1, Sizes(ours=2, peer=1, trial=1)),
    ],
)
def test_counts_of_the_user(sizes: Sizes, documents: int | None, peer: int | None, expected: Sizes) -> None:
    assert resized(sizes, documents, peer) == expected


def test_positions_are_evenly_spaced() -> None:
    assert spread(10, 3) == [0, 3, 6]
    assert spread(3, 3) == spread(3, 5) == [0, 1, 2]
    assert spread(5, 4) == [0, 1, 2, 3]


def test_a_trial_has_the_longest_document() -> None:
    documents = [[RollingRequest(id=n, text="x" * n)] for n in (1, 9, 5, 3)]
    assert [document[0].id for document in for_trial(documents, 2)] == [9, 3]
    assert operation(documents) == "loglikelihood_rolling"
    assert operation([[GenerationRequest(id=0, context="x")]]) == "generate_until"
