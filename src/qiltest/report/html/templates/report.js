"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const form = document.querySelector(".filters");
  const flip = document.getElementById("flip");
  const keys = document.getElementById("keys");
  const cases = all(".case");
  const cells = all(".cell");
  const output = form.querySelector("output");
  document.documentElement.classList.add("has-js");

  /* filters */
  function filter() {
    const data = new FormData(form);
    const statuses = data.getAll("status");
    const words = data.get("find").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const article of cases) {
      const fits = (!data.get("case") || article.id === data.get("case"))
        && (!data.get("language") || article.dataset.language === data.get("language"));
      for (const row of all(".row", article)) {
        let left = 0;
        for (const cell of all(".cell", row)) {
          const visible = fits
            && (!statuses.length || statuses.includes(cell.dataset.status))
            && (!data.get("variant") || cell.dataset.variant === data.get("variant"))
            && words.every((word) => cell.dataset.words.includes(word));
          cell.hidden = !visible;
          left += visible;
        }
        row.hidden = !left;
        shown += left;
      }
      article.hidden = all(".row", article).every((row) => row.hidden);
    }
    const images = cells.length === 1 ? "image" : "images";
    output.textContent = shown === cells.length ? `${shown} ${images}` : `${shown} of ${cells.length} ${images}`;
    document.querySelector(".empty").hidden = shown > 0;
    remember();
  }

  /* filters in the address: a link shows what its sender saw, and a reload changes nothing */
  const fields = () => all("[name]", form).filter((field) => field.name !== "boxes");
  function address(hash) {
    const query = new URLSearchParams();
    for (const field of fields()) {
      if (field.type === "checkbox" ? field.checked : field.value) query.append(field.name, field.value);
    }
    const text = query.toString();
    try {
      history.replaceState(null, "", location.pathname + (text && `?${text}`) + hash);
    } catch { /* a browser that keeps the address of a file as it is */ }
  }
  const remember = () => address(location.hash);
  function recall() {
    const query = new URLSearchParams(location.search);
    for (const field of fields()) {
      const values = query.getAll(field.name);
      if (field.type === "checkbox") field.checked = values.includes(field.value);
      else if (field.tagName !== "SELECT" || all("option", field).some((option) => option.value === (values[0] || ""))) field.value = values[0] || "";
    }
  }
  function boxes(on) {
    document.body.classList.toggle("boxes-off", !on);
    for (const input of all("input[name=boxes]")) input.checked = on;
  }
  function reset() {
    form.reset();
    boxes(true);
    filter();
  }
  form.addEventListener("input", (event) => event.target.name === "boxes" ? boxes(event.target.checked) : filter());
  form.addEventListener("reset", (event) => { event.preventDefault(); for (const e of form.elements) { if (e.type === "checkbox") e.checked = e.name === "boxes"; else if ("value" in e && e.type !== "reset" && e.type !== "button") e.value = ""; } boxes(true); filter(); });
  form.addEventListener("submit", (event) => event.preventDefault());

  /* a link to an image that a filter hides resets the filters */
  function reveal() {
    let name = location.hash.slice(1);
    try { name = decodeURIComponent(name); } catch { /* no name of this page */ }
    const target = document.getElementById(name);
    if (target && target.closest("[hidden]")) { reset(); target.scrollIntoView(); }
  }
  addEventListener("hashchange", reveal);

  /* a text and its box on the image */
  function light(event, on) {
    const place = event.target instanceof Element && event.target.closest("[data-text]");
    const cell = place && place.closest(".cell");
    if (!cell) return;
    for (const shape of all(".image polygon", cell)) shape.classList.toggle("lit", on && shape.dataset.text === place.dataset.text);
  }
  document.addEventListener("pointerover", (event) => light(event, true));
  document.addEventListener("pointerout", (event) => light(event, false));

  /* copy a command; without the clipboard's leave it is selected, for the keys of the system */
  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    let done = "Copied";
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      if (!document.execCommand("copy")) done = "Selected";
    }
    button.textContent = done;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("button.copy");
    if (button) copy(button);
  });

  /* compare two images */
  const controls = flip.querySelector("form");
  const stage = flip.querySelector(".stage");
  const wipe = flip.querySelector("input[name=wipe]");
  let images = [];
  function candidates(row) {
    const found = [];
    for (const cell of all(".cell", row)) {
      const now = cell.querySelector("img.now");
      const before = cell.querySelector("img.before");
      const input = cell.querySelector("img.input");
      if (input) found.push({ label: input.dataset.label, src: input.src, boxes: null, cell });
      if (before && !input) found.push({ label: before.dataset.label, src: before.src, boxes: null, cell });
      if (now) found.push({ label: before ? `${cell.dataset.label}, now` : cell.dataset.label, src: now.src, boxes: cell.querySelector(".frame .boxes"), cell });
      if (before && input) found.push({ label: before.dataset.label, src: before.src, boxes: null, cell });
    }
    return found;
  }
  function open(cell) {
    images = candidates(cell.closest(".row"));
    const own = images.findIndex((image) => image.cell === cell);
    if (own < 0 || images.length < 1) return;
    const beside = images.findIndex((image, index) => index !== own && image.cell === cell);
    const other = beside >= 0 ? beside : own > 0 ? own - 1 : Math.min(1, images.length - 1);
    for (const name of ["a", "b"]) {
      controls.elements[name].replaceChildren(...images.map((image, index) => new Option(image.label, String(index))));
    }
    controls.elements.a.value = String(Math.min(own, other));
    controls.elements.b.value = String(Math.max(own, other));
    wipe.value = "50";
    difference(false);
    show();
    if (!flip.open) flip.showModal();
    wipe.focus();
  }
  function layer(image, over) {
    const div = document.createElement("div");
    const img = document.createElement("img");
    div.className = over ? "layer over" : "layer";
    img.src = image.src;
    img.alt = image.label;
    div.append(img);
    if (image.boxes) div.append(image.boxes.cloneNode(true));
    return div;
  }
  function show() {
    const [a, b] = ["a", "b"].map((name) => images[Number(controls.elements[name].value)]);
    const divider = document.createElement("div");
    divider.className = "divider";
    stage.replaceChildren(layer(b, false), layer(a, true), divider);
    for (const [name, image] of [["a", a], ["b", b]]) flip.querySelector(`.name.${name}`).textContent = image.label;
    cut();
  }
  function cut() {
    const share = Number(wipe.value);
    const over = stage.querySelector(".over");
    if (over) over.style.clipPath = `inset(0 ${100 - share}% 0 0)`;
    const divider = stage.querySelector(".divider");
    if (divider) divider.style.left = `${share}%`;
    flip.querySelector(".name.a").classList.toggle("front", share > 50);
    flip.querySelector(".name.b").classList.toggle("front", share < 50);
  }
  function swap() {
    wipe.value = Number(wipe.value) >= 50 && Number(wipe.value) < 100 || wipe.value === "0" ? "100" : "0";
    cut();
  }
  function difference(on) {
    controls.elements.difference.checked = on;
    stage.classList.toggle("difference", on);
  }
  wipe.addEventListener("input", cut);
  controls.addEventListener("input", (event) => {
    if (event.target.name === "boxes") boxes(event.target.checked);
    else if (event.target.name === "difference") difference(event.target.checked);
    else show();
  });
  controls.elements.swap.addEventListener("click", swap);
  stage.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse" && !event.buttons) return;
    const box = stage.getBoundingClientRect();
    wipe.value = String(Math.round(100 * (event.clientX - box.left) / box.width));
    cut();
  });
  stage.addEventListener("click", (event) => {
    const box = stage.getBoundingClientRect();
    wipe.value = String(Math.round(100 * (event.clientX - box.left) / box.width));
    cut();
  });
  for (const button of all(".compare")) {
    const cell = document.getElementById(button.dataset.cell);
    button.hidden = candidates(cell.closest(".row")).length < 2;
    button.addEventListener("click", () => open(cell));
  }
  document.getElementById("keys-button").addEventListener("click", () => keys.showModal());

  /* keys */
  let selected = null;
  /* what is scrolled to, so that the title above an image is seen too, as far as there is room for both */
  function view(element) {
    const row = element.closest(".row");
    if (!row || matchMedia("(max-width: 700px)").matches) return element;
    const article = row.closest(".case");
    return article.querySelector(".row:not([hidden])") === row ? article : row;
  }
  function go(list, step) {
    const visible = list.filter((element) => !element.closest("[hidden]"));
    if (!visible.length) return;
    const at = visible.indexOf(selected);
    const near = visible.findIndex((element) => element.getBoundingClientRect().top > 90);
    const next = at >= 0 ? at + step : step > 0 ? Math.max(0, near) : (near < 0 ? visible.length : near) - 1;
    selected = visible[Math.max(0, Math.min(visible.length - 1, next))];
    view(selected).scrollIntoView({ block: "start" });
    selected.focus({ preventScroll: true });
    address(`#${selected.id}`);
  }
  /* on the page of a comparison, n and p stop at the second image of a pair */
  const failing = cells.filter((cell) => cell.dataset.status !== "PASS" && !cell.classList.contains("before-side"));
  const actions = {
    j: () => go(cases, 1),
    k: () => go(cases, -1),
    n: () => go(failing, 1),
    p: () => go(failing, -1),
    b: () => boxes(document.body.classList.contains("boxes-off")),
    f: () => {
      const cell = (selected && selected.closest(".cell")) || (selected && selected.querySelector(".cell:not([hidden])")) || failing[0] || cells[0];
      if (cell) open(cell);
    },
    r: reset,
    "/": () => { form.elements.find.focus(); },
    "?": () => keys.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (flip.open) {
      if (event.key === " " && !event.target.closest("button, select")) { event.preventDefault(); swap(); }
      if (event.key === "b") boxes(document.body.classList.contains("boxes-off"));
      if (event.key === "d") difference(!controls.elements.difference.checked);
      return;
    }
    if (keys.open || event.target.closest("input:not([type=checkbox], [type=radio]), select, textarea")) return;
    const action = actions[event.key];
    if (action) { event.preventDefault(); action(); }
  });
  recall();
  filter();
  reveal();
})();
