(() => {
  "use strict";

  /* 1. Tables sort by a click or Enter on a column's head: up, down, as it was. */
  const gaps = new Set(["", "n/a", "\u2014"]);
  const words = cell => cell.textContent.trim();
  const number = text => {
    const found = /^[<>\u2264\u2265\[(+\s]*([\u2212-]?)\+?(\d[\d,]*\.?\d*(?:e[\u2212+-]?\d+)?)/i.exec(text);
    if (!found) return NaN;
    const size = Number(found[2].replace(/,/g, "").replace("\u2212", "-"));
    return found[1] ? -size : size;
  };
  const sort = (head, place) => {
    const body = head.closest("table").tBodies[0];
    const turn = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
    for (const other of head.parentNode.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", turn);
    const rows = [...body.rows].map((row, order) => {
      row.dataset.order ??= order;
      const text = words(row.cells[place]);
      return { row, text, order: Number(row.dataset.order), number: number(text), gap: gaps.has(text) };
    });
    const numeric = rows.every(one => one.gap || !Number.isNaN(one.number));
    const way = turn === "descending" ? -1 : 1;
    rows.sort((a, b) => {
      if (turn === "none" || (a.gap && b.gap)) return a.order - b.order;
      if (a.gap !== b.gap) return a.gap ? 1 : -1;
      const by = numeric ? a.number - b.number : a.text.localeCompare(b.text, "en", { numeric: true });
      return way * by || a.order - b.order;
    });
    body.append(...rows.map(one => one.row));
  };
  for (const table of document.querySelectorAll("table")) {
    if (!table.tHead || table.tBodies[0].rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sort(head, place));
    });
  }

  /* 2. Marks say their values: to a mouse, a finger, and the arrow keys when the figure has the focus. */
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  document.body.append(tip);
  let lit = null;
  const hide = () => {
    lit?.classList.remove("lit");
    lit = null;
    tip.hidden = true;
  };
  const middle = mark => {
    const box = mark.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const show = (mark, [x, y]) => {
    if (mark === lit) return;
    hide();
    lit = mark;
    mark.classList.add("lit");
    tip.textContent = mark.dataset.words;
    tip.hidden = false;
    const room = document.documentElement.clientWidth, wide = tip.offsetWidth, high = tip.offsetHeight;
    tip.style.left = `${Math.max(4, Math.min(x - wide / 2, room - wide - 4))}px`;
    tip.style.top = `${y - high - 12 < 4 ? y + 14 : y - high - 12}px`;
  };
  const near = (marks, x, y) => {
    let best = null, least = 24;
    for (const mark of marks) {
      const box = mark.getBoundingClientRect();
      const far = Math.hypot(
        Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom)
      );
      const [a, b] = middle(mark);
      const away = far + Math.hypot(a - x, b - y) / 1000;
      if (away < least) [best, least] = [mark, away];
    }
    return best;
  };
  for (const figure of document.querySelectorAll("svg.figure")) {
    const marks = [];
    for (const title of figure.querySelectorAll("title")) {
      const mark = title.parentNode;
      mark.dataset.words = title.textContent;
      title.remove();
      marks.push(mark);
    }
    if (!marks.length) continue;
    figure.tabIndex = 0;
    const point = event => {
      const mark = near(marks, event.clientX, event.clientY);
      if (mark) show(mark, middle(mark));
      else hide();
    };
    figure.addEventListener("pointermove", point);
    figure.addEventListener("pointerdown", point);
    figure.addEventListener("pointerleave", event => event.pointerType === "touch" || hide());
    figure.addEventListener("blur", hide);
    figure.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      const at = marks.indexOf(lit);
      const next = marks[at < 0 ? (step > 0 ? 0 : marks.length - 1) : (at + step + marks.length) % marks.length];
      next.scrollIntoView({ block: "nearest", inline: "nearest" });
      show(next, middle(next));
    });
  }
  addEventListener("scroll", hide, { capture: true, passive: true });
})();
