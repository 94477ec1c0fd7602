// What pages do with their document.

const $ = (id) => document.getElementById(id);
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
const dark = window.matchMedia("(prefers-color-scheme: dark)");

const made = (tag, className, parts = []) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...parts);
  return node;
};

/** An equation that the package wrote as MathML. */
const equation = (markup) => { const node = made("span"); node.innerHTML = markup; return node; };

/** How certain something is. */
const badge = (grade) => Object.assign(document.createElement("span"), { className: "badge", textContent: grade });

const save = (blob, name) => {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
