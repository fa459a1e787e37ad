"""What answered, now and then: which differences make two runs incomparable, and which are what people compare.

The text that a task sends is hashed before a model splits it into tokens or lays it out as a conversation. So two
differences would go unnoticed that change the questions themselves: another tokenizer, and, where the prompts are
conversations, another chat template. They make the runs incomparable, unless the models differ in name: then the
tokenizer belongs to what is compared, as the weights do.

Everything else (engine, precision, versions, device, revision of the weights) is what a comparison is made for, and is
told. What stands for a log-likelihood (``scoring``) is a setting of the run and compared with the settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: What each is called where people read it, of the fields of ModelInfo.
_FIELDS = {
    "backend": "backend",
    "name": "model",
    "revision": "revision of the model",
    "dtype": "dtype",
    "max_length": "max_length",
}
_TOKENIZER, _TEMPLATE = "tokenizer_sha256", "chat_template_sha256"
_HASHES = {_TOKENIZER: "tokenizer", _TEMPLATE: "chat template"}
#: Of a hash a person compares the beginning; of a value from a file or a server no more than this is shown.
_HASH_SHOWN, _SHOWN = 8, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrounding:
    """Something that differs between what answered ``then`` and ``now``; both are for people, on one line."""

    name: str
    then: str
    now: str
    incomparable: bool

    def __str__(self) -> str:
        return f"{self.name} {self.then} -> {self.now}"


def changed_surroundings(
    now: Mapping[str, Any], then: Mapping[str, Any], *, chat_template: bool = True
) -> tuple[Surrounding, ...]:
    """Name what differs between two ModelInfos (as mappings), the incomparable first.

    Only what both know counts: another engine knows other things. ``chat_template`` tells that prompts may reach the
    model as conversations; False where it is known that they are plain texts.
    """
    changed = (*_changed_hashes(now, then, chat_template=chat_template), *_changed_facts(now, then))
    return tuple(sorted(changed, key=lambda surrounding: not surrounding.incomparable))


def is_same_model(now: Mapping[str, Any], then: Mapping[str, Any]) -> bool:
    """Whether two ModelInfos name one model; of a path the last part counts, so that it may lie elsewhere."""
    return _last_part(now.get("name")) == _last_part(then.get("name"))


def _changed_hashes(now: Mapping[str, Any], then: Mapping[str, Any], *, chat_template: bool) -> Iterator[Surrounding]:
    same_model = is_same_model(now, then)
    for key, name in _HASHES.items():
        old, new = _details(then).get(key), _details(now).get(key)
        if old is None or new is None or old == new:
            continue
        asks_otherwise = key == _TOKENIZER or chat_template
        yield Surrounding(
            name=name,
            then=_shown(old, _HASH_SHOWN),
            now=_shown(new, _HASH_SHOWN),
            incomparable=same_model and asks_otherwise,
        )


def _changed_facts(now: Mapping[str, Any], then: Mapping[str, Any]) -> Iterator[Surrounding]:
    facts = [(name, then.get(key), now.get(key)) for key, name in _FIELDS.items()]
    both = _details(then).keys() & _details(now).keys() - _HASHES.keys()
    facts += [(key, _details(then)[key], _details(now)[key]) for key in sorted(both)]
    for name, old, new in facts:
        if old is not None and new is not None and old != new:
            yield Surrounding(name=_shown(name), then=_shown(old), now=_shown(new), incomparable=False)


def _details(model: Mapping[str, Any]) -> Mapping[str, Any]:
    # Read from a file, where anything may stand in its place.
    details = model.get("details")
    return details if isinstance(details, Mapping) else {}


def _last_part(name: object) -> str:
    return str(name).replace("\\", "/").rstrip("/").rpartition("/")[2]


def _shown(value: object, most: int = _SHOWN) -> str:
    text = str(value)
    plain = text if text.isprintable() else repr(text)
    return plain if len(plain) <= most else f"{plain[:most]}…"
