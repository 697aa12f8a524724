"use strict";
// A click on a column's head sorts by it: numbers by their value, downwards first; a second click
// turns the order. What has no value stays at the end.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => head.querySelector("button").addEventListener("click", () => {
    const rows = [...table.tBodies[0].rows];
    const cell = (row) => row.cells[place];
    const numeric = rows.some((row) => "value" in cell(row).dataset);
    const before = head.getAttribute("aria-sort");
    const down = before === null ? numeric : before === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => numeric ? parseFloat(cell(row).dataset.value) : cell(row).textContent;
    const order = (a, b) => numeric ? a - b : a.localeCompare(b);
    const known = rows.filter((row) => !Number.isNaN(key(row)));
    known.sort((a, b) => (down ? -1 : 1) * order(key(a), key(b)));
    table.tBodies[0].append(...known, ...rows.filter((row) => Number.isNaN(key(row))));
  }));
}
