"""Made-up tasks and responses for every metric and filter that lm-evaluation-harness registers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Respond = Callable[[random.Random, Row], Sequence[Any]]

WORDS = ["oui", "non", "Le", "chat", "noir", "dort", "7", "12", "été", "日本", "B.", "chien,", "$3", "-"]


def sentence(stream: random.Random, most: int = 9) -> str:
    return " ".join(stream.choices(WORDS, k=stream.randrange(1, most)))


def choice_rows(stream: random.Random, *, choices: int | None, several: bool = False) -> list[Row]:
    rows: list[Row] = []
    for number in range(250):
        texts = stream.sample(["yes", "no", "nö", "maybe so", "日本", "x"], choices or stream.randrange(2, 6))
        labels = stream.sample(range(len(texts)), 2) if several else stream.randrange(len(texts))
        name = stream.choice(["absent", *texts])
        rows.append({"question": f"q{number}", "choices": texts, "label": labels, "name": name})
    return rows


def choice_answers(stream: random.Random, row: Row) -> list[tuple[float, bool]]:
    # Few different values, so that there are ties.
    return [(-stream.choice([1.0, 2.0, 3.5, 7.25]), stream.random() < 0.4) for _ in row["choices"]]


def twice(respond: Respond) -> Respond:
    return lambda stream, row: [*respond(stream, row), *respond(stream, row)]


def text_rows(stream: random.Random) -> list[Row]:
    return [
        {
            "question": f"q{i}",
            "text": sentence(stream),
            "number": stream.randrange(4),
            "several": [sentence(stream, 3) for _ in range(stream.randrange(1, 4))],
            "two": [sentence(stream), sentence(stream)],
            "choices": ["oui", "non", "chat"],
            "label": stream.randrange(3),
            "kind": stream.choice(["a", "b", "c"]),
        }
        for i in range(250)
    ]


def edited(stream: random.Random, row: Row) -> list[str]:
    words = row["text"].split()
    return [
        " ".join(
            w for word in words if (w := stream.choice([*[word] * 14, word.upper(), word + ".", *WORDS[:4]])) != "-"
        )
        or "?"
    ]


def short(stream: random.Random, row: Row) -> list[str]:
    return [stream.choice([*row["several"], row["choices"][row["label"]], sentence(stream, 3)])]


def samples(count: int) -> Respond:
    return lambda stream, row: [f"so, {stream.choice(['the answer is', 'or'])} {n}." for n in digits(stream, count)]


def digits(stream: random.Random, count: int) -> Iterator[int]:
    return (stream.randrange(4) for _ in range(count))


FUNCTIONS = """
import math
from collections import Counter

def overlap(predictions, references):
    common = Counter(predictions[0].split()) & Counter(references[0].split())
    return common.total() / max(1, len(references[0].split()))

def items(values):
    return values

def agree(pairs):
    return sum(a == b for a, b in pairs) / len(pairs)

def lengths(references, predictions, factor=1):
    return {"left": factor * len(references[0]), "right": len(predictions[0]), "lengths": 1}

def included(values):
    gold, answer = values
    return gold in answer

def widest(values):
    return max(values)

def process(doc, results):
    logprob = results[0][0] if isinstance(results[0], tuple) else len(results[0])
    return {
        "all": logprob,
        "kind_" + doc.get("kind", "a"): 1.0 * (logprob > 4),
        "bleu": (doc.get("two", ["a"]), [str(results[0])]),
        "f1": (doc["label"] == 1, doc["question"] < "q5"),
        "median": logprob,
        "nan": math.nan if doc["question"].endswith("3") else logprob,
        "weighted": (-logprob, 3),
    }

def gold_gap(pairs):
    return sum(logprobs[gold] - max(logprobs) for gold, logprobs in pairs) / len(pairs)

def macro(pairs):
    from sklearn.metrics import f1_score
    golds, guesses = zip(*pairs)
    return f1_score(golds, guesses, average="macro")

class Reverse:
    def __init__(self, twice=False):
        self.step = -1
    def apply(self, resps, docs):
        return ([r[:: self.step] for r in row] for row in resps)

def by_document(resps, docs):
    return [[f"{d['number']}" if d["number"] > 1 else r for r in row] for row, d in zip(resps, docs)]
"""

CHOICE_METRICS = [{"metric": m} for m in ("acc", "acc_norm", "acc_bytes", "exact_match", "mcc", "brier_score")]
GENERATE: dict[str, Any] = {"output_type": "generate_until", "doc_to_choice": None, "doc_to_target": "text"}
MATCH_OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "case": {"ignore_case": True},
    "punctuation": {"ignore_punctuation": True, "ignore_numbers": True},
    "patterns": {"regexes_to_ignore": ["[LB]", r"\s"], "ignore_case": True},
}


def match(**options: Any) -> dict[str, Any]:
    return GENERATE | {"metric_list": [{"metric": "exact_match", **options}]}


def listed(*names: str, **more: Any) -> dict[str, Any]:
    return GENERATE | {"metric_list": [{"metric": name} for name in names]} | more


def filtered(*steps: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return match() | {"filter_list": [{"name": "own", "filter": list(steps)}]} | more


ANSWER = {"function": "regex", "regex_pattern": r"answer is (\d)"}
FIRST = {"function": "take_first"}


@dataclass(frozen=True)
class Case:
    """A task, its rows, and how a made-up model responds to one of them."""

    keys: Mapping[str, Any]
    rows: Callable[[random.Random], list[Row]]
    respond: Respond
    tail: str = ""


CASES: dict[str, Case] = {
    "choice-two": Case(
        {"metric_list": [*CHOICE_METRICS, {"metric": "f1", "average": "macro"}]},
        lambda stream: choice_rows(stream, choices=2),
        choice_answers,
    ),
    "choice-four": Case({"metric_list": CHOICE_METRICS}, lambda stream: choice_rows(stream, choices=4), choice_answers),
    "choice-varying": Case(
        {"metric_list": CHOICE_METRICS[:-1]}, lambda stream: choice_rows(stream, choices=None), choice_answers
    ),
    "choice-by-name": Case(
        {"metric_list": CHOICE_METRICS[:-1], "doc_to_target": "name"},
        lambda stream: choice_rows(stream, choices=None),
        choice_answers,
    ),
    "choice-several": Case(
        {"metric_list": CHOICE_METRICS[:-2]},
        lambda stream: choice_rows(stream, choices=5, several=True),
        choice_answers,
    ),
    "choice-mutual-information": Case(
        {"metric_list": [{"metric": "acc_mutual_info"}, *CHOICE_METRICS[:2]]},
        lambda stream: choice_rows(stream, choices=3),
        twice(choice_answers),
    ),
    "choice-default": Case({}, lambda stream: choice_rows(stream, choices=3), choice_answers),
    "choice-own-aggregations": Case(
        {},
        lambda stream: choice_rows(stream, choices=3),
        choice_answers,
        """
        metric_list:
          - {metric: likelihood, aggregation: !function utils.gold_gap, high_is_better: true}
          - {metric: f1, aggregation: !function utils.macro, hf_evaluate: true, average: weighted, ignore_case: true}
          - {metric: mcc, aggregation: !function utils.agree}
          - {metric: acc, aggregation: median}
          - {metric: acc_norm, aggregation: bypass}
        """,
    ),
    "continuation": Case(
        {"output_type": "loglikelihood", "doc_to_choice": None, "doc_to_target": "text"},
        text_rows,
        lambda stream, row: [(-stream.uniform(0, 9), stream.random() < 0.5)],
    ),
    "pages": Case(
        {"output_type": "loglikelihood_rolling", "doc_to_choice": None, "doc_to_target": " {{text}}\n"},
        text_rows,
        lambda stream, row: [-stream.uniform(0, 99)],
    ),
    **{f"match-{name}": Case(match(**options), text_rows, edited) for name, options in MATCH_OPTIONS.items()},
    "match-several": Case(match(ignore_case=True) | {"doc_to_target": "several"}, text_rows, short),
    "match-choice": Case(match() | {"doc_to_choice": "choices", "doc_to_target": "label"}, text_rows, short),
    "match-number": Case(match() | {"doc_to_target": "number"}, text_rows, lambda s, row: [str(s.randrange(4))]),
    "corpus": Case(listed("bleu", "chrf", "chrf++", "ter"), text_rows, edited),
    "collected": Case(listed("bypass"), text_rows, edited),
    "own-functions": Case(
        GENERATE,
        text_rows,
        edited,
        """
        metric_list:
          - {metric: !function utils.overlap, aggregation: mean, higher_is_better: true}
          - {metric: !function utils.items, aggregation: !function utils.agree}
          - {metric: !function utils.lengths, aggregation: !function utils.widest, factor: 3}
          - {metric: !function utils.included, aggregation: mean}
          - {metric: acc, aggregation: !function utils.agree, ignore_case: true}
          - {metric: exact_match, aggregation: mean}
        """,
    ),
    "own-results-of-text": Case(
        GENERATE,
        text_rows,
        edited,
        """
        process_results: !function utils.process
        metric_list:
          - {metric: all, aggregation: mean}
          - {metric: bleu}
          - {metric: f1}
          - {metric: median, aggregation: median}
          - {metric: nan, aggregation: nanmean}
          - {metric: weighted, aggregation: weighted_perplexity}
        """,
    ),
    "own-results-of-choices": Case(
        {},
        lambda stream: choice_rows(stream, choices=2),
        choice_answers,
        """
        process_results: !function utils.process
        metric_list:
          - {metric: all, aggregation: perplexity}
          - {metric: bleu, aggregation: bypass}
          - {metric: f1, aggregation: matthews_corrcoef}
          - {metric: nan, aggregation: nanmean}
          - {metric: weighted, aggregation: bits_per_byte}
        """,
    ),
    "self-consistency": Case(
        match()
        | {
            "doc_to_target": "{{number}}",
            "repeats": 5,
            "filter_list": [
                {"name": "first", "filter": [ANSWER, FIRST]},
                {"name": "vote", "filter": [ANSWER, {"function": "majority_vote"}, FIRST]},
                {
                    "name": "vote-3",
                    "filter": [{"function": "take_first_k", "k": 3}, ANSWER, {"function": "majority_vote"}, FIRST],
                },
            ],
        },
        text_rows,
        samples(5),
    ),
    "all-samples": Case(filtered(ANSWER, doc_to_target="{{number}}", repeats=3), text_rows, samples(3)),
    "mapped": Case(
        filtered(
            ANSWER,
            FIRST,
            {"function": "map", "mapping_dict": {"0": 3, "1": 2, "3": 1}, "default_value": -1},
            FIRST,
            doc_to_target="number",
        ),
        text_rows,
        samples(1),
    ),
    "cases": Case(filtered({"function": "lowercase"}, {"function": "uppercase"}, FIRST), text_rows, edited),
    "stripped": Case(filtered({"function": "remove_whitespace"}, FIRST), text_rows, edited),
    "spans": Case(
        filtered({"function": "format_span"}, doc_to_target="loc: {{text|lower}}"),
        text_rows,
        lambda stream, row: [stream.choice(["Country: ", "place: ", "date :"]) + row["text"]],
    ),
    "letters": Case(
        filtered({"function": "multi_choice_regex", "ignore_case": True}, FIRST, doc_to_target="({{'ABC'[label]}})"),
        text_rows,
        lambda stream, row: [stream.choice(["I say Chat", "it is: C", "(non)", "A", "oui or non"])],
    ),
    "own-filters": Case(
        match() | {"doc_to_target": "{{text[::-1] if number % 2 else number}}"},
        text_rows,
        edited,
        """
        filter_list:
          - {name: class, filter: [{function: !function utils.Reverse, twice: true}, {function: take_first}]}
          - name: function
            filter: [{function: custom, filter_fn: !function utils.by_document}, {function: take_first}]
          - {name: nothing, filter: []}
        """,
    ),
}
