"""What every page keeps in a real browser: quiet, without a network, whole at any width, readable in both themes."""

from __future__ import annotations

from pathlib import Path

from tests.reports.chromium import Tab

LOOKS = [(1280, False), (390, True)]
OPENED = "document.querySelectorAll('details').forEach(one => one.open = true)"
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BOXES = """[...document.querySelectorAll('svg.figure')].map(figure => {
  const box = figure.getBoundingClientRect();
  const texts = [...figure.querySelectorAll('text')].map(text => text.getBoundingClientRect());
  const cut = texts.filter(text => text.left < box.left - 2 || text.right > box.right + 2).length;
  return [box.width, box.height, figure.querySelectorAll('path, use').length, texts.length, cut];
})"""
TOUCHING = """[...document.querySelectorAll('svg.figure')].flatMap(figure => {
  const texts = [...figure.querySelectorAll('text')].filter(text => text.textContent.trim())
    .map(text => [text.textContent.trim(), text.getBoundingClientRect()]);
  return texts.flatMap(([one, a], place) => texts.slice(place + 1)
    .filter(([, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4)
    .map(([other]) => [figure.closest('section').id, one, other]));
})"""
CONTRAST = """(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
      .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + .05) / (low + .05);
  };
  return Math.min(...[...document.querySelectorAll('section p, section td, section th, svg.figure text')]
    .filter(one => one.textContent.trim())
    .map(one => {
      const style = getComputedStyle(one), card = getComputedStyle(one.closest('section')).backgroundColor;
      const ground = card.startsWith('rgba(0, 0, 0, 0') ? getComputedStyle(document.body).backgroundColor : card;
      return ratio(one.closest('svg') ? style.fill : style.color, ground);
    }));
})()"""


def check_page(browser: Tab, page: Path, figures: int | None = None) -> None:
    """Hold a page against all of that, at a desk and on a telephone in the dark.

    Args:
        browser: a tab of a real browser.
        page: the file.
        figures: how many it has; as many as there are pictures beside it, if None.
    """
    if figures is None:
        figures = len(list((page.parent / "figures").glob("*.svg")))
    for width, dark in LOOKS:
        check_look(browser, page, figures, width=width, dark=dark)


def check_look(browser: Tab, page: Path, figures: int, *, width: int, dark: bool) -> None:
    """The same of one width and one theme."""
    browser.open(page, width=width, dark=dark)
    browser.run(OPENED)
    assert browser.run("matchMedia('(prefers-color-scheme: dark)').matches") is dark
    assert browser.run(WIDE) <= 0
    found = browser.run(BOXES)
    assert len(found) == figures > 0
    for wide, high, shapes, words, cut in found:
        assert wide > 300
        assert high > 60
        assert shapes > 5
        assert words > 3
        assert cut == 0
    assert browser.run(TOUCHING) == []
    assert browser.run(CONTRAST) >= 4.5
    assert browser.run("performance.getEntriesByType('resource').length") == 0
    assert browser.wanted() == []
    assert browser.complaints() == []
    assert page.stat().st_size < 5_000_000
