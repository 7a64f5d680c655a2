"use strict";
// Tables sort by a click on a heading, or Enter or Space there (headings hold real buttons); the plots' axis can be chosen.

function keyOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.key === undefined ? cell.textContent.trim() : Number(cell.dataset.key);
}

// Numbers before words, cells without a value last in both directions; equal rows keep their order.
function compare(a, b, sign) {
  const empty = (key) => key === "" || key === "–";
  if (empty(a) || empty(b)) return empty(a) - empty(b);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  if (typeof a === "number") return sign * (a - b);
  return sign * a.localeCompare(b, "en", { numeric: true });
}

function sortBy(table, column) {
  const heads = table.tHead.rows[0].cells;
  const sign = heads[column].getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  rows.sort((one, two) => compare(keyOf(one, column), keyOf(two, column), sign));
  body.append(...rows);
}

// A link into a folded part opens it; before printing everything folded is opened, and closed again after.
function unfold(id) {
  const target = id && document.getElementById(decodeURIComponent(id));
  const fold = target && target.closest("details");
  if (fold && !fold.open) { fold.open = true; target.scrollIntoView(); }
}

if (typeof document !== "undefined") {
  window.addEventListener("hashchange", () => unfold(location.hash.slice(1)));
  unfold(location.hash.slice(1));
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("details.fold:not([open])"));
    for (const fold of opened) fold.open = true;
  });
  window.addEventListener("afterprint", () => { for (const fold of opened) fold.open = false; });
  for (const table of document.querySelectorAll("table.sortable")) {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => sortBy(table, column));
    });
  }
  for (const choice of document.querySelectorAll("fieldset.axis")) {
    choice.hidden = false;
    const section = choice.closest("section");
    section.dataset.show = "updates";
    choice.addEventListener("change", (event) => { section.dataset.show = event.target.value; });
  }
}
