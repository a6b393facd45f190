/* dom.js - elements, and how numbers are written. The files of app/ make one script, in the order
 * that meson.build gives; they share their top-level names. */
"use strict";

const $ = (id) => document.getElementById(id);

/* make("p", {class: "x", click: f, style: {"--c": "red"}}, "text", node..): no markup from strings.
 * Children that are null, false or "" are left out. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {}))
    if (typeof value === "function") element.addEventListener(key, value);
    else if (key === "style") setStyle(element, value);
    else if (value !== false && value != null)
      element.setAttribute(key, value === true ? "" : value);
  element.append(...children.filter((child) => child != null && child !== false && child !== ""));
  return element;
}

/* Property by property: the page's policy forbids style attributes. */
function setStyle(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", "#i-" + name);
  svg.append(use);
  return svg;
}

const count = (n) => Number(n).toLocaleString("en");
const plural = (n, word) => count(n) + " " + word + (n === 1 ? "" : "s");
const capital = (word) => word[0].toUpperCase() + word.slice(1);
const milliseconds = (ms) =>
  (ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)) + " ms";

function number(x, digits = 3) {
  if (typeof x !== "number" || !isFinite(x)) return "–";
  const size = Math.abs(x);
  return x.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : digits).replace("-", "−");
}

function bytes(n) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
  return (i === 0 || n >= 100 ? n.toFixed(0) : n.toFixed(1)) + " " + units[i];
}

/* after(ms, f) returns a function that runs f once it has not been called for that long. */
function after(ms, f) {
  let timer = 0;
  const later = (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...args), ms);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function openDialog(dialog) {
  if (!dialog.open) dialog.showModal();
}
