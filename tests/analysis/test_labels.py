"""All that is wrong with labels is found at once, nothing is changed by itself, and opposites are not typing errors."""

from instructor_core.analysis.labels import Merge, label_issues, merge

LABELS = ["refund"] * 20 + ["delivery"] * 20


def test_typing_errors_are_left_out_where_alone_and_offered_for_merging() -> None:
    issues = label_issues([*LABELS, "Refund", "refnd", "refund ", "", " "])
    assert len(issues.rows) == 40
    assert issues.n_missing == 2
    assert issues.singletons == ("Refund", "refnd", "refund ")
    assert {(merge.label, merge.into) for merge in issues.merges} == {
        ("Refund", "refund"),
        ("refnd", "refund"),
        ("refund ", "refund"),
    }
    said = " ".join(issues.sentences)
    assert said.startswith("40 of 45 texts used; left out: 2 texts without a label, 3 labels with one text (Refund,")
    assert 'merge "Refund" (1) into "refund"' in said
    assert merge(["refnd", "delivery"], issues.merges) == ("refund", "delivery")


def test_case_spaces_marks_and_a_slip_are_offered_and_other_labels_are_not() -> None:
    for other in ("Card-Arrival", "card_arrival", " card arrival", "cardarrival", "card arival"):
        assert label_issues(["card arrival"] * 20 + [other] * 2).merges == (Merge(other, "card arrival", 2),)
    others = [("negative", "positive"), ("unknown", "known"), ("female", "male"), ("group 2", "group 1")]
    others += [("not urgent", "urgent"), ("cat", "car"), ("+", "-"), ("日本", "中国")]
    for rare, frequent in others:
        assert label_issues([frequent] * 20 + [rare] * 2).merges == (), rare
    assert label_issues(["sports"] * 20 + ["sporty"] * 19).merges == ()


def test_a_repeated_text_counts_once_small_labels_are_named_and_sound_ones_need_no_words() -> None:
    labels = ["a"] * 6 + ["b"] * 3
    texts = ["one", "One ", "two", "three", "four", "five", "x", "y", "z"]
    issues = label_issues(labels, texts)
    assert issues.rows.tolist() == [0, 2, 3, 4, 5, 6, 7, 8]
    assert issues.small == (("b", 3),)
    assert issues.sentences[0] == "8 of 9 texts used; left out: 1 repeated text."
    assert label_issues(LABELS).sentences == ()
    assert label_issues([]).sentences == ()
    assert label_issues(["", " "]).n_missing == 2
