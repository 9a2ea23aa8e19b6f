"use strict";

// "−0.83 [−1.2, −0.4]" sorts by its first number; what holds none, such as a dash, comes last.
function number(text) {
  const found = text.replaceAll("−", "-").replaceAll(",", "").match(/^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/i);
  return found ? parseFloat(found[0]) : null;
}

function sortBy(table, column, heads) {
  const head = heads[column];
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  const rows = [...table.tBodies[0].rows];
  const keyed = rows.map((row) => [row.cells[column].textContent.trim(), row]);
  const filled = keyed.filter(([text]) => text !== "" && text !== "–");
  const numeric = filled.every(([text]) => number(text) !== null);
  const missing = ([text]) => text === "" || text === "–";
  keyed.sort((a, b) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    const order = numeric ? number(a[0]) - number(b[0]) : a[0].localeCompare(b[0], "en", { numeric: true });
    return ascending ? order : -order;
  });
  table.tBodies[0].append(...keyed.map(([, row]) => row));
  heads.forEach((other) => other.setAttribute("aria-sort", "none"));
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sortBy(table, column, heads));
  });
}

// What a figure's values are, of the one that is pointed at: [x, y, text], in thousandths of the picture.
const tip = document.querySelector(".tip");
for (const image of document.querySelectorAll("figure img[data-points]")) {
  const points = JSON.parse(image.dataset.points);
  image.addEventListener("mousemove", (event) => {
    const box = image.getBoundingClientRect();
    let nearest = null, least = 14 * 14; // pixels from a value
    for (const [x, y, text] of points) {
      const distance = (box.left + (box.width * x) / 1000 - event.clientX) ** 2 + (box.top + (box.height * y) / 1000 - event.clientY) ** 2;
      if (distance < least) [nearest, least] = [text, distance];
    }
    tip.hidden = nearest === null;
    image.title = nearest === null ? "Enlarge" : "";
    if (nearest === null) return;
    tip.textContent = nearest;
    tip.classList.toggle("left", event.clientX > innerWidth / 2);
    tip.style.setProperty("--x", `${event.clientX}px`);
    tip.style.setProperty("--y", `${event.clientY}px`);
  });
  image.addEventListener("mouseleave", () => (tip.hidden = true));
}

const dialog = document.querySelector("dialog");
for (const image of document.querySelectorAll("figure img")) {
  const enlarge = () => {
    const large = dialog.querySelector("img");
    large.src = image.src;
    large.alt = image.alt;
    dialog.querySelector(".title").textContent = image.dataset.title;
    dialog.showModal();
  };
  image.tabIndex = 0;
  image.setAttribute("role", "button");
  image.setAttribute("aria-haspopup", "dialog");
  image.title = "Enlarge";
  image.addEventListener("click", enlarge);
  image.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      enlarge();
    }
  });
}
dialog.querySelector("img").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

// What is folded is printed all the same.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
