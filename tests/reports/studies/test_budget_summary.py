import numpy as np

from reports.studies.market.budget_summary import budgets
from reports.studies.market.learning import curve


def account(*days):
    return {"days": [dict(zip(("revenue", "bound_spend", "unpaid"), day, strict=True)) for day in days]}


def test_shares_are_of_each_worlds_own_day():
    found = budgets(
        [account((100.0, 10.0, 1.0), (50.0, 0.0, 0.5)), account((200.0, 60.0, 6.0), (50.0, 0.0, 0.5))], curve
    )
    assert found["day"] == [1, 2]
    np.testing.assert_allclose(found["spend"]["mean"], [150, 50])
    np.testing.assert_allclose(found["bound"]["mean"], [0.2, 0])
    np.testing.assert_allclose(found["unpaid"]["mean"], [0.02, 0.01])
    np.testing.assert_allclose(found["unpaid"]["hi"] - found["unpaid"]["mean"], [12.7062 * 0.01, 0], rtol=1e-4)


def test_a_day_without_spend_has_no_share_of_it():
    found = budgets([account((0.0, 0.0, 0.0))], curve)
    assert found["bound"]["mean"].tolist() == found["unpaid"]["mean"].tolist() == [0.0]
