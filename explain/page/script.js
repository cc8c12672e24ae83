// Helps to step and to follow a word. All that it shows is in the page already.
"use strict";
(() => {
  const steps = [...document.querySelectorAll(".step")];
  const words = [...document.querySelectorAll("[data-c], [data-d]")];
  const links = [...document.querySelectorAll(".track a")];
  const slider = document.getElementById("slider");
  const all = document.getElementById("all");
  const where = document.getElementById("where");
  const previous = document.getElementById("previous");
  const next = document.getElementById("next");
  const sentence = [...document.querySelectorAll("#sentence button")];
  const list = text => (text ? text.split(" ").map(Number) : []);
  const places = new Map(words.map(w => [w, {carries: list(w.dataset.c), depends: list(w.dataset.d)}]));
  let step = 0;
  let chosen = [];  // input words that are followed
  let hovered = null, focused = null;  // ... while the pointer or the focus is on a word

  const followed = () => hovered ?? focused ?? chosen;
  const name = i => `“${sentence[i].dataset.text}” (word ${i})`;

  function describe() {
    const heading = steps[step].querySelector("h2").textContent;
    if (chosen.length === 0) return heading;
    if (chosen.length > 1) return `${heading}. A number that carries ${chosen.length} words is followed.`;
    const way = document.getElementById(`way-${chosen[0]}`);
    const stop = way.querySelector(`li[data-round="${step}"]`);
    const text = stop ? stop.textContent : step === 0 ? way.querySelector(".start").textContent : "no word carries it here";
    return `${heading}. ${name(chosen[0])}: ${text}`;
  }

  function mark() {
    const now = followed();
    const held = new Set();
    for (const word of words) {
      const {carries, depends} = places.get(word);
      const carried = carries.some(i => now.includes(i));
      word.classList.toggle("carries", carried);
      word.classList.toggle("depends", !carried && depends.some(i => now.includes(i)));
      if (carried) held.add(word.closest(".step"));
    }
    links.forEach((link, i) => {
      link.classList.toggle("carries", held.has(steps[i]));
      // Rounds that are too large to list say in the way of the word that it was there.
      const there = now.length === 1 && document.querySelector(`#way-${now[0]} li[data-round="${i}"]`) !== null;
      link.classList.toggle("depends", there && !held.has(steps[i]));
    });
    sentence.forEach((button, i) => button.setAttribute("aria-pressed", String(chosen.includes(i))));
  }

  function show() {
    steps.forEach((s, i) => { s.hidden = !all.checked && i !== step; });
    document.body.classList.toggle("stepping", !all.checked);
    links.forEach((link, i) => {
      if (i === step) link.setAttribute("aria-current", "step"); else link.removeAttribute("aria-current");
    });
    const link = links[step];
    const row = link.closest("ol");
    if (row.scrollWidth > row.clientWidth) row.scrollLeft = link.offsetLeft - row.offsetLeft - row.clientWidth / 2;
    slider.value = step;
    slider.setAttribute("aria-valuetext", steps[step].querySelector("h2").textContent);
    previous.disabled = step === 0;
    next.disabled = step === steps.length - 1;
    where.textContent = describe();
  }

  function go(to) {
    step = Math.max(0, Math.min(steps.length - 1, to));
    show();
    if (all.checked) steps[step].scrollIntoView();
  }

  function choose(origins) {
    chosen = origins.join() === chosen.join() ? [] : origins;
    hovered = focused = null;
    mark();
    where.textContent = describe();
  }

  const wordOf = event => event.target.closest("button.w");
  const originsOf = word => {
    const {carries, depends} = places.get(word);
    return carries.length ? carries : depends;
  };
  document.addEventListener("click", event => {
    const word = wordOf(event);
    if (word) choose(originsOf(word));
    const link = event.target.closest(".track a");
    if (link) { event.preventDefault(); go(links.indexOf(link)); }
  });
  document.addEventListener("mouseover", event => {
    const word = wordOf(event);
    if (!word && !hovered) return;
    hovered = word ? originsOf(word) : null;
    mark();
  });
  document.addEventListener("focusin", event => {
    const word = wordOf(event);
    focused = word ? originsOf(word) : null;
    mark();
  });
  document.addEventListener("keydown", event => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") { chosen = []; hovered = focused = null; mark(); where.textContent = describe(); return; }
    if (event.target === slider) return;  // moves itself
    if (event.target.closest?.("#every")) {
      if (event.key === "ArrowRight") go(step + 1);
      else if (event.key === "ArrowLeft") go(step - 1);
      else return;
    } else if (!RoundtripStage.key(event)) {
      return;
    }
    event.preventDefault();
  });
  slider.addEventListener("input", () => go(Number(slider.value)));
  previous.addEventListener("click", () => go(step - 1));
  next.addEventListener("click", () => go(step + 1));
  all.addEventListener("change", show);

  for (const hidden of document.querySelectorAll(".controls, #where, .scripted")) hidden.hidden = false;
  RoundtripStage.onframe = round => { step = Math.min(steps.length - 1, round); show(); };
  RoundtripStage.start();
  const wanted = /^#step-(\d+)$/.exec(location.hash);
  if (wanted) step = Math.min(steps.length - 1, Number(wanted[1]));
  show();
})();
