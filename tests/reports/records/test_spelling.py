"""An arm's spelling as a noun: its parts, its mechanisms, and the arm without some of them."""

from __future__ import annotations

import pytest

from reports.records.spelling import Part, Spelling, added, capitals


@pytest.mark.parametrize(
    ("text", "towers", "ranker"),
    [
        ("dssm", "dssm", "dnn"),
        ("dssm@dnn", "dssm", "dnn"),
        ("dssm+cas+cms[beta=0.5]@bst[heads=2]", "dssm+cas+cms", "bst[heads=2]"),
        ("dssm[lr=1e+5]+cs3@dnn[lr=1e+3]", "dssm+cs3", "dnn[lr=1e+3]"),
        ("my.place:Towers[mail=a@b]@my.place:Ranker", "my.place:Towers", "my.place:Ranker"),
        ("dssm[a=[1+2,[3@4]]]+cts", "dssm+cts", "dnn"),
        ("dssm+", "dssm+", "dnn"),
        ("+cs3", "+cs3", "dnn"),
        ("dssm@a@b", "dssm", "a@b"),
        ("", "", "dnn"),
    ],
)
def test_signs_divide_outside_of_brackets_only(text: str, towers: str, ranker: str) -> None:
    found = Spelling.of(text)
    assert (found.towers, found.ranker) == (towers, ranker)
    assert found.name == text


def test_two_spellings_of_one_arm_have_one_plain_name() -> None:
    assert Spelling.of("dssm+cs3@dnn").plain == Spelling.of("dssm+cs3").plain == "dssm+cs3"
    assert Spelling.of("dssm@dnn[lr=1]").plain == "dssm@dnn[lr=1]"


def test_mechanisms_of_a_spelling() -> None:
    assert Spelling.of("dssm-bare+cs3@dnn").mechanisms == ("cas", "cts", "cms")
    assert Spelling.of("dssm+cms+cts[alpha=0.5]@bst").mechanisms == ("cts", "cms")
    assert Spelling.of("dat+kd").mechanisms == ()
    assert added("dssm+cas", "dssm+cs3[beta=0.5]") == ("cts", "cms")
    assert added("dssm+cs3", "dssm+cas") == ()


def test_without_takes_settings_along_and_leaves_others_theirs() -> None:
    whole = Spelling.of("dssm[lr=1e+5]+cms[beta=0.5]+kd[lam=1]+shuffled@bst")
    assert whole.without("cms", "shuffled").name == "dssm[lr=1e+5]+kd[lam=1]@bst"
    assert [part.text for part in whole.only("cms", "cas")] == ["cms[beta=0.5]"]
    assert whole.without("cas") == whole


def test_settings_of_a_part_are_divided_outside_of_lists() -> None:
    assert Part("dssm").settings("backbone") == []
    assert Part("dssm[a=1e+5,b=[[1,2],[3]],c=x]").settings("backbone") == ["a=1e+5", "b=[[1,2],[3]]", "c=x"]
    with pytest.raises(ValueError, match=r"^modifier == 'cts\[a=1,a=2\]', must give each setting once$"):
        Part("cts[a=1,a=2]").settings("modifier")
    with pytest.raises(ValueError, match=r"^ranker == 'dnn\[lr\]', must be spelled name\[key=value,\.\.\.\]$"):
        Part("dnn[lr]").settings("ranker")


def test_a_page_writes_names_in_capitals_and_settings_as_they_are() -> None:
    assert capitals("cas+cms[beta=0.5]") == "CAS+CMS[beta=0.5]"
