import pytest

from instructor_core.analysis.suggest import N_WORDINGS, Slots, load_builder, parse, suggest, word_tasks
from instructor_core.errors import UserError


def test_an_instruction_is_taken_apart_only_if_it_follows_the_template_as_those_of_the_bundled_lists_do() -> None:
    builder = load_builder()
    assert len(builder.domains) > 10
    for domain in ("", *builder.domains):
        for text_type in builder.text_types:
            slots = Slots(domain, text_type, builder.objectives[0].objective)
            assert parse(slots.instruction, text_types=builder.text_types) == slots
    for instruction, expected in (
        ("Represent the Wikipedia document for retrieval:", Slots("Wikipedia", "document", "retrieval")),
        ("represent the sentence;", Slots("", "sentence", "")),
        ("Represent the bank web page for a search for loans: ", Slots("bank", "web page", "a search for loans")),
        ("Classify the sentence: ", None),
        ("Represent the:", None),
        ("", None),
    ):
        assert parse(instruction, text_types=("page", "web page")) == expected


def test_every_combination_comes_once_with_objectives_fastest_and_too_many_or_none_are_refused() -> None:
    assert suggest(domains=("movie", ""), text_types=("review",), objectives=("classifying the topic", "", "")) == (
        "Represent the movie review for classifying the topic: ",
        "Represent the movie review: ",
        "Represent the review for classifying the topic: ",
        "Represent the review: ",
    )
    assert suggest(text_types=("  news   title ",), objectives=()) == ("Represent the news title: ",)
    with pytest.raises(UserError, match="needs a text type: got 0"):
        suggest(text_types=("",), objectives=("a",))
    with pytest.raises(UserError, match=r"At most 24 candidates .* the choice makes 26"):
        suggest(domains=("a", "b"), text_types=("t",), objectives=tuple("abcdefghijklm"))


def test_every_task_is_asked_for_in_five_wordings_about_the_visitors_kind_of_text() -> None:
    own = ("Represent the bank message for classifying the category: ", "Group by mood: ")
    tasks = {task.name: task.wordings for task in word_tasks(own, ["yes", "no"] * 4, ["queue"])}
    assert list(tasks)[:4] == ["category", "Group by mood", "queue", "no or yes"]
    assert tasks["category"][0] == own[0] and tasks["Group by mood"] == (own[1],)
    assert "Represent the bank message for determining if it is no or yes: " in tasks["no or yes"]
    assert {entry.axis for entry in load_builder().objectives if entry.mini} < set(tasks)
    assert {len(wordings) for name, wordings in tasks.items() if name != "Group by mood"} == {N_WORDINGS}
    everything = [wording for wordings in tasks.values() for wording in wordings]
    assert len(set(everything)) == len(everything)
