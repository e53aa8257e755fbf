"""The pages in a real browser: quiet, without a network, whole at any width, in both themes, sorted and pointed at."""

import pytest

from reports.pages.ab import page
from reports.pages.offline import page as offline_page
from tests.reports import sample_offline, sample_run
from tests.reports.page_checks import LOOKS, check_look

DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
MIDDLE = "(b => [b.left + b.width / 2, b.top + b.height / 2])({}.getBoundingClientRect())"
EFFECTS = "[...document.querySelectorAll('#metrics tbody tr')].map(row => row.cells[3].textContent)"
HEAD = "document.querySelectorAll('#metrics thead th')[3]"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    (folder / "ab").mkdir()
    (folder / "offline").mkdir()
    return {
        "ab": page.write_page(sample_run.results(), sample_run.timing(), sample_run.manifest(), folder / "ab"),
        "offline": offline_page.write_page(sample_offline.results(), folder / "offline"),
    }


@pytest.mark.parametrize(("width", "dark"), LOOKS)
@pytest.mark.parametrize("kind", ["ab", "offline"])
def test_a_page_is_quiet_whole_and_readable(pages, browser, kind, width, dark):
    check_look(browser, pages[kind], {"ab": 12, "offline": 5}[kind], width=width, dark=dark)


def test_the_policy_stops_what_the_page_does_not_ask_for(pages, browser):
    browser.open(pages["ab"])
    browser.run("document.body.append(Object.assign(new Image(), {src: 'https://example.org/a.png'}))")
    browser.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    failed = [event["params"] for event in browser.events if event.get("method") == "Network.loadingFailed"]
    assert [one.get("blockedReason") for one in failed] == ["csp"]
    assert any("Content Security Policy" in str(said) for said in browser.complaints())


def test_a_click_sorts_by_number_up_down_and_back(pages, browser):
    browser.open(pages["ab"])
    before = browser.run(EFFECTS)
    seen = []
    for _ in range(3):
        browser.run(f"{HEAD}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        x, y = browser.run(MIDDLE.format(f"{HEAD}.firstChild"))
        browser.mouse(x, y, click=True)
        seen.append((browser.run(f"{HEAD}.ariaSort"), browser.run(EFFECTS)))
    assert [state for state, _ in seen] == ["ascending", "descending", "none"]
    values = [float(text.replace("\N{MINUS SIGN}", "-").rstrip("%")) for text in seen[0][1]]
    assert values == sorted(values)
    assert values != [float(text.replace("\N{MINUS SIGN}", "-").rstrip("%")) for text in before]
    assert sorted(seen[0][1]) == sorted(seen[1][1]) == sorted(before)
    assert seen[1][1] == seen[0][1][::-1]
    assert seen[2][1] == before


def test_enter_sorts_by_text_and_gaps_stay_last(pages, browser):
    browser.open(pages["ab"])
    names = "[...document.querySelectorAll('#metrics tbody tr')].map(row => row.cells[0].textContent)"
    browser.run("document.querySelectorAll('#metrics thead button')[0].focus()")
    browser.key("Enter", "\r")
    assert browser.run(names) == sorted(browser.run(names), key=str.lower)
    column = "[...document.querySelectorAll('#metrics tbody tr')].map(row => row.cells[6].textContent)"
    browser.run("document.querySelectorAll('#metrics thead button')[6].focus()")
    for state in ("ascending", "descending"):
        browser.key("Enter", "\r")
        assert browser.run("document.querySelectorAll('#metrics thead th')[6].ariaSort") == state
        found = browser.run(column)
        known = [float(text.lstrip("< ")) for text in found if text != "\N{EM DASH}"]
        assert found[len(known) :] == ["\N{EM DASH}"] * (len(found) - len(known))
        assert known == sorted(known, reverse=state == "descending")
    assert (
        browser.run("[...document.querySelectorAll('#metrics thead th')].map(one => one.ariaSort)").count("none") == 7
    )


def test_marks_say_their_values_to_the_mouse_and_to_the_arrow_keys(pages, browser):
    browser.open(pages["ab"])
    figure = "document.querySelector('#forest svg')"
    tip = "document.getElementById('tip')"
    browser.run(f"{figure}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    browser.run(DRAWN)  # the scroll's own event hides what is shown
    x, y = browser.run(MIDDLE.format(f"{figure}.querySelector('[data-words]')"))
    assert browser.run(f"{tip}.hidden") is True
    browser.mouse(x + 3, y + 3)
    assert browser.run(f"{tip}.textContent") == "Revenue: +2.60%  [+1.47%, +3.73%]"
    assert browser.run(f"(b => b.width > 50 && b.left >= 0 && b.top >= 0)({tip}.getBoundingClientRect())")
    browser.mouse(2, 2)
    assert browser.run(f"{tip}.hidden") is True
    browser.run(f"{figure}.focus()")
    browser.key("ArrowRight")
    browser.key("ArrowRight")
    assert browser.run(f"{tip}.textContent").startswith("Revenue per 1,000: ")
    browser.key("Escape")
    assert browser.run(f"{tip}.hidden") is True


def test_without_its_script_the_page_still_reads(pages, browser):
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(pages["ab"])
        assert browser.run("document.querySelectorAll('thead button').length") == 0
        assert browser.run("document.querySelector('#forest svg title').textContent").startswith("Revenue: ")
        assert len(browser.run(EFFECTS)) == 10
        assert browser.complaints() == []
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)


def test_on_paper_there_is_ink_on_white(pages, browser):
    browser.open(pages["ab"], dark=True)
    browser.theme("dark", media="print")
    assert browser.run("getComputedStyle(document.documentElement).getPropertyValue('--ink')") == "#1f2328"
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.theme("light")
