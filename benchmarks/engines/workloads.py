"""What is asked: documents of real benchmarks, in the sizes that suit an engine on two CPU cores, with the targets."""

from __future__ import annotations

from collections.abc import Mapping
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
    """A workload with the ratio that is wanted in each part that it belongs to, None where it is only shown.

    Where ``split`` is more than 1, nothing is compared with lm-eval: the documents are asked as so many tasks in one
    run and as one task, and the ratio is that of the two.
    """

    workload: Workload
    targets: Mapping[str, float | None]
    split: int = 1


TRIALS = (
    Trial(
        workload=Workload(
            name="arc_easy-5shot-first_n",
            tasks=("arc_easy",),
            shots=5,
            sizes=Sizes(ours=60, peer=8, trial=4),
            overrides=FIRST_N,
        ),
        targets={VLLM: 8.0, PLAIN: 2.0, TOKENS: 2.0},
    ),
    Trial(
        workload=Workload(
            name="hellaswag-5shot-first_n",
            tasks=("hellaswag",),
            shots=5,
            sizes=Sizes(ours=24, peer=3, trial=2),
            overrides={**FIRST_N, "fewshot_split": "validation"},
        ),
        targets={VLLM: 8.0},
    ),
    Trial(
        workload=Workload(name="arc_easy-5shot", tasks=("arc_easy",), shots=5, sizes=Sizes(ours=8, peer=8, trial=4)),
        targets={VLLM: None},
    ),
    Trial(
        workload=Workload(name="mmlu-5shot", tasks=MMLU, shots=5, sizes=Sizes(ours=120, peer=6, trial=3)),
        targets={VLLM: 20.0, PLAIN: 2.0},
    ),
    Trial(
        workload=Workload(
            name="hellaswag-0shot", tasks=("hellaswag",), shots=0, sizes=Sizes(ours=20, peer=20, trial=8)
        ),
        targets={VLLM: 2.0, PLAIN: 2.0, TOKENS: 2.0},
    ),
    Trial(
        workload=Workload(
            name="gsm8k-8shot",
            tasks=("gsm8k",),
            shots=8,
            sizes=Sizes(ours=24, peer=24, trial=8),
            overrides={**FIRST_N, **SHORT_ANSWERS},
        ),
        targets={VLLM: 1.0, PLAIN: 1.2},
    ),
    Trial(
        workload=Workload(name="lambada", tasks=("lambada_openai",), shots=0, sizes=Sizes(ours=40, peer=40, trial=16)),
        targets={VLLM: None},
    ),
    Trial(
        workload=Workload(name="wikitext", tasks=("wikitext",), shots=0, sizes=Sizes(ours=1, peer=1, trial=1)),
        targets={VLLM: None},
    ),
    Trial(
        workload=Workload(
            name="mmlu-10-subjects",
            tasks=tuple(f"mmlu_{subject}" for subject in SUBJECTS),
            shots=5,
            sizes=Sizes(ours=60, peer=60, trial=10),
        ),
        targets={VLLM: 1.0},
        split=10,
    ),
    Trial(
        workload=Workload(
            name="gsm8k-10-tasks",
            tasks=("gsm8k",),
            shots=8,
            sizes=Sizes(ours=30, peer=30, trial=10),
            overrides={**FIRST_N, **SHORT_ANSWERS},
        ),
        targets={VLLM: 1.0},
        split=10,
    ),
)
