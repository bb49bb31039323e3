"""Of texts in another language, and of texts that the window cuts, one line under their heading says so."""

import json
from pathlib import Path

import pytest

from instructor_core.cache import CachedEncoder
from instructor_core.ui.data.examples import load_examples
from instructor_core.ui.data.inputs import Inputs
from instructor_core.ui.data.text_warnings import label_repair, text_warnings

GERMAN = (
    "Die Suppe war ausgezeichnet und heiß.",
    "Wann kommt mein Paket endlich an?",
    "Das Essen im Restaurant schmeckte wunderbar.",
    "Mein Telefon lässt sich nicht mehr einschalten.",
)
CHINESE = ("汤非常好喝。", "酒店房间又脏又吵。", "我想取消合同。")
CODE = (
    "for i in range(10): print(i)",
    "SELECT name FROM users WHERE id = 3;",
    "const x = await fetch(url).then(r => r.json());",
    "git commit -m 'fix typo' && git push",
)
SLANG = (
    "lol idk bruh thats lit af",
    "omg gonna b l8 tmrw sry",
    "ur app sux n keeps crashin smh",
    "wtf cant login again ugh",
    "nah im good tbh ngl",
    "dis phone b trippin",
)


def warnings_of(encoder: CachedEncoder, *texts: str, instruction: str = "") -> tuple[str, ...]:
    return text_warnings(encoder, Inputs("mini", (instruction,), texts, None))


@pytest.mark.parametrize("texts", [GERMAN, CHINESE, GERMAN[:1]])
def test_texts_in_another_language_are_said_to_be_so(encoder: CachedEncoder, texts: tuple[str, ...]):
    (sentence,) = warnings_of(encoder, *texts)
    n = len(texts)
    assert sentence.startswith(f"{n} of {n} text (1" if n == 1 else f"{n} of {n} texts (1")
    assert "not look like English" in sentence


def test_english_of_any_kind_is_not_taken_for_another_language_but_one_text_in_another_script_is_named(
    encoder: CachedEncoder,
):
    bundled = [
        tuple(json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines())
        for path in (Path(__file__).parents[3] / "assets" / "label_sets").glob("*.jsonl")
    ]
    for texts in (CODE, SLANG, *(example.texts for example in load_examples()), *bundled):
        assert warnings_of(encoder, *texts) == (), texts[0]
    (sentence,) = warnings_of(encoder, *load_examples()[0].texts, CHINESE[0])
    assert sentence.startswith("1 of 17 texts (17) does not look like English")


def test_a_text_is_cut_off_from_the_first_token_that_the_window_has_no_room_for(encoder: CachedEncoder):
    n_instruction = len(encoder.model.tokenizer.tokenize("Mood:"))
    room = 512 - 1 - n_instruction  # with </s>; "soup" is one piece
    fits, too_long = ("soup " * room).strip(), ("soup " * (room + 1)).strip()
    assert encoder.model.count_tokens([fits]) == [room]
    assert warnings_of(encoder, fits, instruction="Mood: ") == ()
    (sentence,) = warnings_of(encoder, fits, too_long, "Soup.", too_long, instruction="Mood: ")
    assert sentence == ("2 of 4 texts (2, 4) are cut off: the window ends after 512 tokens, the instruction included.")
    both = warnings_of(encoder, *CHINESE, "汤" * 400)
    assert "1 of 4 texts (4) is cut off" in both[1]


def test_of_many_texts_a_sample_is_looked_at_and_the_longest_are_counted(encoder: CachedEncoder):
    texts = [f"Remark {i} on the soup that they had." for i in range(2000)]
    texts[777] = "soup " * 600
    (sentence,) = warnings_of(encoder, *texts)
    assert sentence.startswith("1 of 2000 texts (778) is cut off")
    (sentence,) = warnings_of(encoder, *(GERMAN * 100))
    assert sentence.startswith("200 of 200 texts looked at (1, 3, 5")


def test_labels_written_alike_or_used_once_are_named_and_names_of_texts_are_not():
    def repair(*labels: str) -> str:
        return label_repair(Inputs("mini", ("",), tuple(f"Text {i}." for i in range(len(labels))), labels))

    assert repair("refund", "refund", "delivery", "delivery") == ""
    assert repair("a1", "b2", "c3") == ""  # each stands once: they are names
    alike = repair("refund", "refund", "Refund", "<b>", "delivery", "delivery")
    assert "Two labels are written alike: &quot;refund&quot;, &quot;Refund&quot; <button" in alike
    assert "1 label has one text: &quot;&lt;b&gt;&quot;." in alike
