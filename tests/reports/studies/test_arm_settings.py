"""What stands in the brackets of an arm is checked before the arm is made: keys, kinds of values, ranges."""

from __future__ import annotations

import pytest

from reports.studies.arm_settings import check_settings
from reports.studies.arms import parse, settings_in

WRONG = {
    "dssm[foo=1]": "setting == 'foo', must be one of dssm's",
    "dssm[lr=abc]": r"dssm\[lr\] == 'abc', must be a valid number",
    "dssm[lr=nan]": r"dssm\[lr\] == nan, must be finite",
    "dssm[lr=-1]": "dssm: lr == -1, must be at least 0",
    "dssm[hidden=8]": r"dssm\[hidden\] == 8, must be a list",
    "dssm[hidden=[8,0]]": r"dssm: hidden == \(8, 0\), must be at least 1",
    "dssm[hidden=[8,inf]]": r"dssm\[hidden\] == \[8, inf\], must be finite",
    "dssm[hidden=[]]": r"dssm: hidden == \(\), must hold at least one",
    "dssm[counters=3]": r"dssm\[counters\] == 3, must be a valid boolean",
    "dssm[embedding=1000000000]": "embedding == 1000000000, must be at least 1 and at most 65536",
    "dssm[batch=0]": "dssm: batch == 0, must be at least 1",
    "dssm[dropout=1.5]": "dssm: dropout == 1.5, must be at least 0 and at most 0.99",
    "dssm[temperature=0]": "dssm: temperature == 0, must be above 0",
    "hit[facets=2.5]": r"hit\[facets\] == 2.5, must be a valid integer",
    "hit[facets=7]": "hit: facets == 7, must divide width == 32",
    "dat[mimic=q]": r"dat\[mimic\] == 'q', must be a valid number",
    "dssm+cts[alpha=abc]": r"cts\[alpha\] == 'abc', must be a valid number",
    "dssm+cts[alpha=2]": "alpha == 2, must be in",
    "dssm+kd[T=x]": r"kd\[T\] == 'x', must be a valid number",
    "dssm@dnn[dropout=x]": r"dnn\[dropout\] == 'x', must be a valid number",
    "random[x=1]": "setting == 'x', must be left out: random takes none",
}


@pytest.mark.parametrize("spelling", WRONG)
def test_a_wrong_setting_is_one_line(spelling: str) -> None:
    with pytest.raises(ValueError, match=WRONG[spelling]) as error:
        parse(spelling)
    assert "\n" not in str(error.value)


def test_a_list_is_one_setting() -> None:
    assert settings_in(parse("dssm[hidden=[64,32],lr=0.01]").base) == {"hidden": [64, 32], "lr": 0.01}


def test_a_stranger_s_annotations_count_as_far_as_they_can_be_read() -> None:
    def told(catalog: object, seed: int, *, depth: int = 3, odd: NoSuchName = 1) -> None: ...  # type: ignore[name-defined] # noqa: F821

    def typed(catalog: object, seed: int, *, depth: int = 3) -> None: ...

    check_settings("mine", told, {"depth": "x"})
    with pytest.raises(ValueError, match=r"mine\[depth\] == 'x', must be a valid integer"):
        check_settings("mine", typed, {"depth": "x"})
