// Return what is wrong with the page to the eye: colors, sizes and places, as they are computed.

() => {
  const found = [];
  const at = document.querySelector(".at");
  const dialog = document.querySelector("dialog[open]");
  const scope = dialog ?? at;
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  const name = (it) => `${it.tagName.toLowerCase()}.${it.getAttribute("class") ?? ""}`.replace(/\.$/, "");
  const report = (it, what) => found.push(`${name(it)} ${what}`);
  const style = (it) => getComputedStyle(it);
  const round = (ratio) => ratio.toFixed(2);

  // Colors

  function paint(...colors) {
    canvas.fillStyle = "white";
    canvas.fillRect(0, 0, 1, 1);
    for (const color of colors) {
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  }

  function behind(it) {
    const colors = [];
    for (let box = it; box; box = box === dialog ? null : box.parentElement) {
      colors.unshift(style(box).backgroundColor);
    }
    return colors;
  }

  function luminance(rgb) {
    const [r, g, b] = rgb.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  function contrast(rgb, other) {
    const [dark, light] = [luminance(rgb), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }

  function demand(it, what, color, ground, least) {
    const ratio = contrast(paint(...ground, color), paint(...ground));
    if (ratio < least) report(it, `has ${what} of ${round(ratio)}:1`);
  }

  function opaque(color) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data[3] === 255;
  }

  const page = paint(style(document.documentElement).backgroundColor, style(document.body).backgroundColor);
  if (dialog && contrast(paint(style(dialog).backgroundColor), page) > 3) {
    report(dialog, "is light on a dark page, or dark on a light one");
  }

  if (dialog && !opaque(style(dialog).backgroundColor)) report(dialog, "lets the page shine through");

  // Text

  const texts = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (texts.nextNode()) {
    const text = texts.currentNode;
    const it = text.parentElement;
    if (!text.data.trim() || it.closest("option, script, .at-sr, [hidden]") || !it.checkVisibility()) continue;
    if (it.closest("thead") && style(it.closest("thead")).position === "absolute") continue;
    demand(it, "text", style(it).color, behind(it), 4.5);
    range.selectNodeContents(text);
    const box = it.closest("code, dd, td, th, .at-note, .at-btn, .at-well, .at-dialog, .at").getBoundingClientRect();
    for (const line of range.getClientRects()) {
      if (line.left < box.left - 1 || line.right > box.right + 1) report(it, `runs out of its box: ${text.data.trim()}`);
    }
  }

  // Boxes

  for (const it of scope.querySelectorAll("*")) {
    const box = it.getBoundingClientRect();
    if (!box.width || it.closest(".at-sr, [hidden], thead")) continue;
    if (box.left < 0 || box.right > document.documentElement.clientWidth + 0.5) report(it, "is out of the window");
  }
  const edge = at.getBoundingClientRect().left + parseFloat(style(at).paddingLeft);
  if (edge < 7) report(at, `is ${edge} px from the edge of the window`);

  // Controls

  for (const it of scope.querySelectorAll("a, button, input:not([type=hidden]), select, code[tabindex]")) {
    if (!it.checkVisibility()) continue;
    // A click on the label of a checkbox is a click on the box.
    const { width, height } = (it.type === "checkbox" ? it.labels[0] : it).getBoundingClientRect();
    // A link in a line of text is as high as the line.
    if (style(it).display !== "inline" && (width < 24 || height < 20)) report(it, `is ${width} × ${height} px`);
    const ground = behind(it.parentElement);
    it.focus();
    const ring = style(it);
    const colors = [ring.outlineColor, ring.boxShadow.replace(/(\)).*/, "$1")];
    const ratio = Math.max(...colors.map((color) => (color === "none" ? 1 : contrast(paint(...ground, color), paint(...ground)))));
    if (ratio < 3 || ring.outlineStyle !== "solid" || parseFloat(ring.outlineWidth) < 2) report(it, `has a focus ring of ${round(ratio)}:1`);
    it.blur();
  }
  for (const it of scope.querySelectorAll("input:not([type=hidden], [type=checkbox]), select, .at-secret, .at-btn:not(.at-btn--primary, .at-btn--danger)")) {
    demand(it, "a border", style(it).borderTopColor, behind(it.parentElement), 3);
    if (parseFloat(style(it).borderTopWidth) < 1) report(it, "has no border");
  }
  for (const it of scope.querySelectorAll(".at-iconbtn svg")) {
    demand(it, "an icon", style(it).stroke, behind(it), 4.5);
  }
  for (const it of scope.querySelectorAll("svg *")) {
    if (style(it).fill !== "none" || style(it).stroke === "none") report(it, "is a disc");
  }

  // Fields

  for (const field of scope.querySelectorAll(".at-field")) {
    const parts = [...field.children].map((it) => [it, it.getBoundingClientRect()]);
    parts.forEach(([it, box], index) => {
      const above = parts[index - 1]?.[1];
      if (above && box.top < above.bottom - 0.5) report(it, "is beside what is above it");
      if (it.matches("input, select") && Math.abs(box.width - field.clientWidth) > 0.5) report(it, "is not as wide as its field");
    });
  }
  return [...new Set(found)];
};
