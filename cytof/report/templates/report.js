"use strict";
const number = (cell) => parseFloat(cell.dataset.value);
const field = (text) => {
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? "'" + text : text;
  return /[",\n\r]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
};
document.querySelectorAll("table.sortable").forEach((table) => {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        const value = number(cell);
        return Number.isNaN(value) ? cell.textContent : value;
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
  const button = table.closest(".table").nextElementSibling;
  button.hidden = false;
  button.addEventListener("click", () => {
    const rows = Array.from(table.tBodies[0].rows, (row) => Array.from(row.cells, (cell) =>
      field(Number.isNaN(number(cell)) ? cell.textContent.trim() : cell.dataset.value)));
    const text = [heads.map((head) => field(head.dataset.name)), ...rows].map((row) => row.join(",")).join("\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + text + "\n"], { type: "text/csv;charset=utf-8" }));
    link.download = table.dataset.file;
    link.click();
    URL.revokeObjectURL(link.href);
  });
});
