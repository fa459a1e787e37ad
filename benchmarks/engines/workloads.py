"""What is asked: documents of real benchmarks, in the sizes that suit an engine on two CPU cores, with the targets."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.scoring.workloads import FIRST_N, MMLU, Sizes, Workload

VLLM, PLAIN, TOKENS = "vllm", "http", "http-tokens"
PARTS = (VLLM, PLAIN, TOKENS)

SUBJECTS = (
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "business_ethics",
    "clinical_knowledge",
    "college_biology",
    "computer_security",
    "econometrics",
    "global_facts",
    "marketing",
)

SHORT_ANSWERS = {
    "generation_kwargs": {
        "until": ["Question:", "</s>", "<|im_end|>"],
        "do_sample": False,
        "temperature": 0.0,
        "max_gen_toks": 64,
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A workload in one part, with the ratio that is wanted there, None where it is only shown.

    Where ``split`` is more than 1, nothing is compared with lm-eval: the documents are asked as so many tasks in one
    run and as one task, and the ratio is that of the two.
    """

    part: str
    workload: Workload
    target: float | None = None
    split: int = 1


def _arc_easy(sizes: Sizes) -> Workload:
    return Workload(name="arc_easy-5shot-first_n", tasks=("arc_easy",), shots=5, sizes=sizes, overrides=FIRST_N)


def _mmlu(sizes: Sizes) -> Workload:
    return Workload(name="mmlu-5shot", tasks=MMLU, shots=5, sizes=sizes)


def _hellaswag(sizes: Sizes) -> Workload:
    return Workload(name="hellaswag-0shot", tasks=("hellaswag",), shots=0, sizes=sizes)


def _gsm8k(name: str, documents: int) -> Workload:
    sizes, overrides = Sizes(ours=documents, peer=documents, trial=16), {**FIRST_N, **SHORT_ANSWERS}
    return Workload(name=name, tasks=("gsm8k",), shots=8, sizes=sizes, overrides=overrides)


# From the split that is evaluated: the only one that local copies have. No document is its own example.
_HELLASWAG_SHOTS = Workload(
    name="hellaswag-5shot-first_n",
    tasks=("hellaswag",),
    shots=5,
    sizes=Sizes(ours=24, peer=3, trial=2),
    overrides={**FIRST_N, "fewshot_split": "validation"},
)
_ARC_EASY_DRAWN = Workload(name="arc_easy-5shot", tasks=("arc_easy",), shots=5, sizes=Sizes(ours=8, peer=8, trial=4))
_LAMBADA = Workload(name="lambada", tasks=("lambada_openai",), shots=0, sizes=Sizes(ours=40, peer=40, trial=16))
_WIKITEXT = Workload(name="wikitext", tasks=("wikitext",), shots=0, sizes=Sizes(ours=1, peer=1, trial=1))
_SUBJECTS = Workload(
    name="mmlu-10-subjects",
    tasks=tuple(f"mmlu_{subject}" for subject in SUBJECTS),
    shots=5,
    sizes=Sizes(ours=60, peer=60, trial=10),
)

TRIALS = (
    Trial(part=VLLM, workload=_arc_easy(Sizes(ours=60, peer=8, trial=4)), target=8.0),
    Trial(part=VLLM, workload=_HELLASWAG_SHOTS, target=8.0),
    Trial(part=VLLM, workload=_ARC_EASY_DRAWN),
    Trial(part=VLLM, workload=_mmlu(Sizes(ours=90, peer=3, trial=3)), target=20.0),
    Trial(part=VLLM, workload=_hellaswag(Sizes(ours=24, peer=24, trial=8)), target=2.0),
    Trial(part=VLLM, workload=_gsm8k("gsm8k-8shot", 24), target=1.0),
    Trial(part=VLLM, workload=_LAMBADA),
    Trial(part=VLLM, workload=_WIKITEXT),
    Trial(part=VLLM, workload=_SUBJECTS, target=1.0, split=10),
    Trial(part=VLLM, workload=_gsm8k("gsm8k-10-tasks", 30), target=1.0, split=10),
    Trial(part=PLAIN, workload=_hellaswag(Sizes(ours=16, peer=16, trial=8)), target=2.0),
    Trial(part=PLAIN, workload=_arc_easy(Sizes(ours=24, peer=6, trial=6)), target=2.0),
    Trial(part=PLAIN, workload=_mmlu(Sizes(ours=60, peer=3, trial=3)), target=2.0),
    Trial(part=PLAIN, workload=_gsm8k("gsm8k-8shot", 24), target=1.2),
    Trial(part=TOKENS, workload=_hellaswag(Sizes(ours=16, peer=16, trial=8)), target=2.0),
    Trial(part=TOKENS, workload=_arc_easy(Sizes(ours=24, peer=6, trial=6)), target=2.0),
)
