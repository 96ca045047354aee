"use strict";
document.querySelectorAll("table.sortable").forEach((table) => {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        const number = parseFloat(cell.dataset.value);
        return Number.isNaN(number) ? cell.textContent : number;
      };
      const rows = Array.from(table.tBodies[0].rows).sort((a, b) => {
        const x = key(a), y = key(b);
        const both = typeof x === "number" && typeof y === "number";
        return both ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
      });
      if (down) rows.reverse();
      table.tBodies[0].append(...rows);
    });
  });
});
