/* page_picture.js - for page_picture.py, inside the page: each element's ground, border and words
 * as SVG, in the order of the document; all that the page uses of CSS and no more. */
() => {
  const out = [],
    n = (x) => String(+x.toFixed(1));
  const escape = (s) => s.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const context = document.createElement("canvas").getContext("2d", { colorSpace: "srgb" });

  /* Any CSS colour as #rrggbb and an opacity. */
  const probe = document.body.appendChild(document.createElement("i"));
  function paint(name, css) {
    probe.style.color = css;
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = getComputedStyle(probe).color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    if (a === 0) return "";
    const hex = "#" + [r, g, b].map((x) => x.toString(16).padStart(2, "0")).join("");
    return ` ${name}="${hex}"` + (a < 255 ? ` ${name}-opacity="${(a / 255).toFixed(2)}"` : "");
  }
  function box(x, y, w, h, r, attributes) {
    if (!attributes || w <= 0 || h <= 0 || y > innerHeight || x > innerWidth) return;
    const round = Math.min(r, w / 2, h / 2);
    out.push(
      `<rect x="${n(x)}" y="${n(y)}" width="${n(w)}" height="${n(h)}"` +
        (round > 0.4 ? ` rx="${n(round)}"` : "") +
        `${attributes}/>`,
    );
  }
  function words(text, x, top, width, style) {
    if (!text.trim() || top > innerHeight) return;
    context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const y = top + context.measureText(text).fontBoundingBoxAscent;
    out.push(
      `<text x="${n(x)}" y="${n(y)}" textLength="${n(width)}"` +
        ` font-size="${n(parseFloat(style.fontSize))}"` +
        (style.fontWeight > 450 ? ` font-weight="${style.fontWeight}"` : "") +
        (style.fontFamily.includes("monospace") && !style.fontFamily.includes("sans-serif")
          ? ' class="m"'
          : "") +
        `${paint("fill", style.color)}>${escape(text)}</text>`,
    );
  }

  /* What ::before and ::after paint, as elements. */
  for (const element of [...document.body.querySelectorAll("*")])
    for (const which of ["::before", "::after"]) {
      const style = getComputedStyle(element, which);
      if (!style.content.startsWith('"') || style.display === "none" || style.opacity === "0")
        continue;
      const copy = document.createElement("i");
      for (const name of style)
        if (!name.startsWith("--")) copy.style.setProperty(name, style.getPropertyValue(name));
      copy.className = "copied";
      copy.textContent = style.content.slice(1, -1);
      which === "::before" ? element.prepend(copy) : element.append(copy);
    }
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("*::before, *::after { display: none !important }");
  document.adoptedStyleSheets = [sheet];

  function lines(node, style) {
    const range = document.createRange(),
      parent = node.parentElement.getBoundingClientRect();
    const long = node.parentElement.scrollWidth > node.parentElement.clientWidth;
    const cut = style.textOverflow === "ellipsis" && long ? parent.right : Infinity;
    let line = null;
    const done = () =>
      line &&
      words(
        line.text.trimEnd() + (line.cut ? "…" : ""),
        line.x,
        line.top,
        line.right - line.x,
        style,
      );
    for (let i = 0; i < node.length; i++) {
      range.setStart(node, i);
      range.setEnd(node, i + 1);
      const rect = range.getClientRects()[0],
        c = node.data[i];
      if (!rect || (/\s/.test(c) && (rect.width === 0 || !line))) continue;
      if (line && Math.abs(rect.top - line.top) > 4) {
        done();
        line = null;
      }
      line ||= { text: "", x: rect.left, top: rect.top, right: rect.right };
      if (rect.right > cut - 12 && !line.cut && cut !== Infinity && i + 1 < node.length)
        line.cut = true;
      if (line.cut) continue;
      line.text += /\s/.test(c) ? " " : c;
      if (!/\s/.test(c)) line.right = rect.right;
    }
    done();
  }
  function borders(rect, style) {
    const side = (name) => parseFloat(style[`border${name}Width`]) || 0,
      all = ["Top", "Right", "Bottom", "Left"].map(side);
    if (all.every((w) => w > 0 && w === all[0])) {
      const w = all[0];
      box(
        rect.x + w / 2,
        rect.y + w / 2,
        rect.width - w,
        rect.height - w,
        parseFloat(style.borderTopLeftRadius) - w / 2,
        paint("stroke", style.borderTopColor) &&
          ` fill="none"${paint("stroke", style.borderTopColor)}` +
            (w > 1 ? ` stroke-width="${w}"` : ""),
      );
      return;
    }
    if (all[0]) box(rect.x, rect.y, rect.width, all[0], 0, paint("fill", style.borderTopColor));
    if (all[1])
      box(
        rect.right - all[1],
        rect.y,
        all[1],
        rect.height,
        0,
        paint("fill", style.borderRightColor),
      );
    if (all[2])
      box(
        rect.x,
        rect.bottom - all[2],
        rect.width,
        all[2],
        0,
        paint("fill", style.borderBottomColor),
      );
  }
  function control(element, rect, style) {
    const variable = (name) => style.getPropertyValue(name);
    const middle = rect.y + rect.height / 2,
      color = paint("stroke", variable("--c") || style.color);
    if (element.type === "range") {
      const at = (rect.width * parseFloat(variable("--at"))) / 100,
        knob = rect.x + 8 + (rect.width - 16) * element.value;
      box(rect.x, middle - 2, rect.width, 4, 2, paint("fill", variable("--line-strong")));
      box(rect.x, middle - 2, at, 4, 2, color.replaceAll("stroke", "fill"));
      out.push(
        `<circle cx="${n(knob)}" cy="${n(middle)}" r="7" stroke-width="2"` +
          `${paint("fill", variable("--raised"))}${color}/>`,
      );
    } else if (element.type === "checkbox") {
      out.push(
        `<path d="M${n(rect.x + 4)} ${n(middle)}l2.6 2.7 4.6-5.2" fill="none" stroke-width="1.7"` +
          ` stroke-linecap="round"${paint("stroke", variable("--raised"))}/>`,
      );
    } else {
      const text =
        element.tagName === "SELECT"
          ? element.selectedOptions[0].textContent
          : element.value || element.placeholder;
      context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      const size = context.measureText(text),
        height = size.fontBoundingBoxAscent + size.fontBoundingBoxDescent;
      words(
        text,
        rect.x + parseFloat(style.paddingLeft) + parseFloat(style.borderLeftWidth),
        middle - height / 2,
        size.width,
        {
          fontWeight: style.fontWeight,
          fontSize: style.fontSize,
          fontFamily: style.fontFamily,
          color: element.value ? style.color : variable("--faint"),
        },
      );
      if (element.tagName === "SELECT")
        out.push(
          `<path d="M${n(rect.right - 20)} ${n(middle - 2)}h10l-5 5z"` +
            `${paint("fill", variable("--faint"))}/>`,
        );
    }
  }
  function icon(svg, rect, style) {
    const symbol = document.querySelector(svg.querySelector("use").getAttribute("href")),
      side = symbol.viewBox.baseVal.width;
    const scale = Math.round((1000 * rect.width) / side) / 1000,
      brand = side === 16,
      paths = [...symbol.children].map((shape) => {
        const attributes = [...shape.attributes]
          .filter((a) => a.name !== "class")
          .map((a) => ` ${a.name}="${a.value}"`)
          .join("");
        const full = shape.classList.contains("full");
        const colors = brand
          ? paint("fill", getComputedStyle(shape).fill)
          : full && paint("fill", style.color) + ' stroke="none"';
        return `<${shape.tagName}${attributes}${colors || ""}/>`;
      });
    out.push(
      `<g transform="translate(${n(rect.x)} ${n(rect.y)}) scale(${scale})"` +
        (brand
          ? ""
          : ' fill="none" stroke-width="1.8" stroke-linecap="round"' +
            paint("stroke", style.color)) +
        `>${paths.join("")}</g>`,
    );
  }
  /* A drawing that is one already, its style sheet's part written out. */
  function plot(svg, rect) {
    const parts = [...svg.querySelectorAll("*")]
      .filter((shape) => !/^(title|desc|g)$/.test(shape.tagName))
      .map((shape) => {
        const style = getComputedStyle(shape),
          text = shape.tagName === "text",
          own = [...shape.attributes]
            .filter((a) => !/^(class|style|role|tabindex|fill|stroke.*|text-anchor|font-.*|aria-.*)$/.test(a.name))
            .map((a) => ` ${a.name}="${a.value}"`)
            .join("");
        const colors =
          (style.fill === "none" ? ' fill="none"' : paint("fill", style.fill)) +
          (style.stroke === "none"
            ? ""
            : paint("stroke", style.stroke) +
              ` stroke-width="${parseFloat(style.strokeWidth)}"` +
              (style.strokeDasharray === "none"
                ? ""
                : ` stroke-dasharray="${style.strokeDasharray.replaceAll("px", "")}"`));
        const letters = ` font-size="${parseFloat(style.fontSize)}" text-anchor="${style.textAnchor}"`;
        return (
          `<${shape.tagName}${own}${colors}${text ? letters : ""}>` +
          `${text ? escape(shape.textContent) : ""}</${shape.tagName}>`
        );
      });
    const view = svg.getAttribute("viewBox") || `0 0 ${rect.width} ${rect.height}`;
    out.push(
      `<svg x="${n(rect.x)}" y="${n(rect.y)}" width="${n(rect.width)}" ` +
        `height="${n(rect.height)}" viewBox="${view}">${parts.join("")}</svg>`,
    );
  }
  function draw(element) {
    const style = getComputedStyle(element),
      rect = element.getBoundingClientRect();
    if (
      style.display === "none" ||
      !element.checkVisibility() /* in a closed <details> */ ||
      style.visibility === "hidden" ||
      style.opacity === "0" ||
      element.classList.contains("hidden") ||
      rect.y > innerHeight
    )
      return;
    if (element.tagName === "svg") {
      if (element.querySelector("use")) icon(element, rect, style);
      else plot(element, rect);
      return;
    }
    const turned = element.classList.contains("copied") && style.transform !== "none";
    const part = style.getPropertyValue("--part"),
      own =
        style.backgroundImage.startsWith("linear") && part && element.matches(".facet ul button");
    if (!turned && !(element.type === "range")) {
      box(
        rect.x,
        rect.y,
        rect.width,
        rect.height,
        parseFloat(style.borderTopLeftRadius),
        paint("fill", style.backgroundColor),
      );
      if (own)
        box(
          rect.x,
          rect.y,
          (rect.width * parseFloat(part)) / 100,
          rect.height,
          7,
          paint("fill", style.getPropertyValue("--text")).replace(/ fill-opacity.*/, "") +
            ' fill-opacity=".05"',
        );
      borders(rect, style);
    }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(element.tagName)) {
      if (element.type !== "checkbox" || element.checked) control(element, rect, style);
      return;
    }
    for (const node of element.childNodes)
      if (node.nodeType === Node.TEXT_NODE) lines(node, style);
      else if (
        node.nodeType === Node.ELEMENT_NODE &&
        !/^(SCRIPT|STYLE|DIALOG|DATALIST)$/.test(node.tagName)
      )
        draw(node);
  }
  draw(document.body);
  return out;
};
