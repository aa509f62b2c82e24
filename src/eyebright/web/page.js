// Makes tables sortable by a click on a column heading, and findings choosable by severity, label and text. Without this
// script all of them are shown as they are.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const cell = row.cells[column];
    const number = parseFloat(cell.dataset.value);
    return Number.isNaN(number) ? cell.textContent.trim() : number;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === typeof b) return a.localeCompare(b);
    return typeof a === "number" ? -1 : 1;
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach((cell) => cell.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => sign * compare(key(a, column), key(b, column)));
      table.tBodies[0].append(...rows);
    });
  });
}

for (const form of document.querySelectorAll("form.filters")) {
  const findings = [...form.nextElementSibling.children];
  const status = form.querySelector("[role=status]");
  const update = () => {
    const severities = new Set([...form.querySelectorAll("[name=severity]:checked")].map((box) => box.value));
    const label = form.elements.label?.value ?? "";
    const text = form.elements.text.value.trim().toLowerCase();
    let shown = 0;
    for (const finding of findings) {
      const hasLabel = !label || JSON.parse(finding.dataset.labels).includes(label);
      const hasText = !text || finding.textContent.toLowerCase().includes(text);
      finding.hidden = !(severities.has(finding.dataset.severity) && hasLabel && hasText);
      shown += finding.hidden ? 0 : 1;
    }
    status.textContent = `${shown} of ${findings.length} shown`;
  };
  form.hidden = false;
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  update();
}
