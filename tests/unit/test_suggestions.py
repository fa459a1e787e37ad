from __future__ import annotations

from pytest_lmeval.suggestions import listed, missing_key, nearest, suggestion


def test_the_nearest_is_asked_for_else_all_are_listed() -> None:
    known = {"regex", "map", "take_first"}
    assert suggestion("regexp", known, "Known filters") == " Did you mean 'regex'?"
    assert suggestion("zzz", known, "Known filters") == " Known filters: map, regex, take_first."
    assert nearest("zzz", known) == ""
    assert suggestion(None, known, "Known filters") == " Known filters: map, regex, take_first."


def test_a_key_that_is_missing_may_be_there_under_another_name() -> None:
    assert missing_key("filter", {"name": "n", "filters": []}) == ". Is 'filters' meant to be 'filter'?"
    assert missing_key("filter", {"name": "n"}) == ""
    assert missing_key("filter", {"filter": 3, "filters": []}) == ""
    assert missing_key("filter", "text") == ""
    assert missing_key("filter", {1: 2}) == ""


def test_lists_are_bounded_and_harmless() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(f"c{i}" for i in range(30)).endswith("c18, c19 and 10 more")
    assert listed(f"c{i}" for i in range(21)).endswith("c19, c20")
    assert listed(["\x1b[31m", "x" * 200]) == "?[31m, " + "x" * 80
