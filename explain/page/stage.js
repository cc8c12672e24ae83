// The first screen: one run as frames, machines on one side and tokens on the other. It is drawn from the trace in the
// page or, for the protocols that the small engine has, from a run of it on whatever the reader types.
"use strict";
const RoundtripStage = (() => {
  const trace = JSON.parse(document.getElementById("trace").textContent);
  const reverse = trace.from === "transformer";
  const $ = id => document.getElementById(id);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const kDwell = 1900, kCalmDwell = 3000;
  const kDefaults = {  // for a protocol that is chosen in the page
    sum: {eps: [1, 4], text: "3 1 4 1 5 9 2 6 5 3 5 8 9 7 9 3"},
    word_count: {eps: [1, 4], text: "the cat saw the dog and the dog saw the cat so the cat sat down"},
    odd_even_sort: {eps: [1, 3], text: "31 4 15 92 65 35 89 79 32 38 46 26 43 83 27 95"},
    k_hop_walk: {eps: [1, 4], text: "the cat saw the dog and the dog saw the cat so the cat sat down"},
  };
  const plural = (n, one) => `${n} ${one}${n === 1 ? "" : "s"}`;
  const most = (list, of) => list.reduce((best, item, i) => (of(item) > of(list[best]) ? i : best), 0);

  // ---- what is shown: {shape, input, rounds: [{phase, words, loads, layers}], outputs, violation, refusal}

  let live = false;        // the engine runs what the reader types
  let spec = null;         // of the engine: {protocol, words, eps, k, limit}
  let limit = 0;           // instead of s; 0: s
  let shown = null, frames = [], frame = 0;
  let without = null;      // of a model: a part that is taken away, {part, tokens: those that end with another row}

  function breakAt(rounds, allowed) {
    for (let r = 0; r < rounds.length; ++r) {
      for (const side of [0, 1]) {
        const machine = rounds[r].loads.findIndex(load => load[side] > allowed);
        if (machine < 0) continue;
        const kind = side === 0 ? "sent" : "received", used = rounds[r].loads[machine][side];
        return {machine, round: r + 1, kind, used, allowed,
          text: `machine ${machine} in round ${r + 1} ${kind} ${used} words, allowed ${allowed}`};
      }
    }
    return null;
  }

  /** The last frame shows the last rows: there a part that is taken away is missed. */
  const lacking = () => (frame === frames.length - 1 ? without : null);

  /** The layers that do a round's work: who moved from where to where, in which head. */
  function layersOf(round) {
    if (reverse) return [];
    return trace.layers.filter(layer => layer.round === round).map(layer => ({number: layer.layer, moves: layer.moves}));
  }
  const directLayer = (number, words) => ({number, moves: words.map((w, i) => (
    {word: i, from: w.source, to: w.output ?? w.destination, head: w.sequence}))});

  function fromTrace() {
    const rounds = trace.rounds.map(round => ({
      phase: round.phase, loads: round.loads, layers: layersOf(round.round), total: round.words_sent,
      words: round.words?.map(w => ({...w, label: w.text,
        destination: w.destination, kind: w.carries.length ? "word" : w.depends ? "made" : "number"})) ?? null}));
    const allowed = limit || trace.memory_words;
    const violation = breakAt(rounds, allowed);
    return {shape: {n: trace.n, b: trace.block_words, s: trace.memory_words, q: trace.machines, allowed,
      rounds: trace.rounds.length}, input: trace.input, rounds: violation ? rounds.slice(0, violation.round) : rounds,
      outputs: trace.outputs, violation, refusal: null, need: Math.max(...rounds.flatMap(r => r.loads.map(l => Math.max(l[0], l[1]))))};
  }

  function fromEngine() {
    const run = RoundtripEngine.run({...spec, limit});
    if (run.refusal) return run;
    for (const [i, round] of run.rounds.entries())
      round.layers = [directLayer(i + 1, round.words)], round.total = round.words.length;
    const last = run.rounds[run.rounds.length - 1].words;
    run.outputs = run.outputs.map((value, t) => (value === null ? "" :
      ["sum", "word_count"].includes(spec.protocol) ? String(value) : last.find(w => w.output === t).label));
    return {...run, input: spec.words, need: RoundtripEngine.need(spec)};
  }

  const update = () => {
    shown = live ? fromEngine() : fromTrace();
    frames = [{kind: "input", round: 0}];
    if (shown.refusal) return;
    shown.rounds.forEach((round, i) => {
      const at = {round: i + 1};
      const broken = shown.violation && i + 1 === shown.rounds.length;
      if (reverse) { frames.push({...at, kind: "round", broken}); return; }
      frames.push({...at, kind: "send", broken: broken && shown.violation.kind === "sent"});
      if (broken && shown.violation.kind === "sent") return;
      round.layers.forEach((layer, l) => frames.push({...at, kind: "meet", layer: l, broken}));
      if (!broken && round.words) frames.push({...at, kind: "fall", layer: round.layers.length - 1});
    });
    if (!shown.violation) frames.push({kind: "answer", round: shown.rounds.length, layer: 0});
  };

  // ---- the sentence of a frame

  const kHints = {
    sum: {add: "Partial sums go up a tree."},
    word_count: {"exchange counts": "Partners swap counts: a bit of a word's number decides which of the two goes on with it."},
    odd_even_sort: {"sort with": "Each pair sends all to both; the lower machine then keeps the smaller half."},
    k_hop_walk: {"sort with": "Each pair sends all to both; the lower machine then keeps the smaller half.",
      show: "Every machine shows its last word to the next: is it the same word as the next one's first?",
      tell: "“the ⇢ 4” tells a place: go on at place 4, just after the previous “the”.",
      walk: "“7 ⇢ 5” is a walker: it started at place 7 and goes to place 5."},
  };
  const hint = round => (live ? Object.entries(kHints[spec.protocol] ?? {}).find(([phase]) => round.phase.startsWith(phase))?.[1] : "");

  const fullest = (round, side) => most(round.loads, load => load[side]);
  const byHead = (layer) => {
    const heads = new Map();
    for (const move of layer.moves) {
      const key = `${move.to} ${move.head}`;
      if (!heads.has(key)) heads.set(key, {to: move.to, head: move.head, moves: []});
      heads.get(key).moves.push(move);
    }
    return [...heads.values()];
  };

  function sentence(at) {
    if (shown.refusal) return `This cannot run: ${shown.refusal}.`;
    const round = shown.rounds[at.round - 1], {q, b, allowed, rounds} = shown.shape;
    if (at.broken) {
      const {text, machine} = shown.violation;
      return `${text[0].toUpperCase()}${text.slice(1)}: the run stops here, and ` +
        (reverse ? "the layer's work is not done." : shown.violation.kind === "sent"
          ? `token ${machine} has only ${allowed} heads to send with.` : `the row of token ${machine} has room for ${allowed} only.`) +
        " Give it more memory s, or another input.";
    }
    if (lacking()) {
      const {part, tokens} = without, changed = tokens.length;
      return `${part[0].toUpperCase()}${part.slice(1)}, ` + (changed === 0 ? "every token still ends with the same row."
        : changed === trace.tokens ? "every token ends with another row." : `${changed} of ${plural(trace.tokens, "token")} ${changed === 1 ? "ends" : "end"} with another row: ${tokens.join(", ")}.`);
    }
    switch (at.kind) {
      case "input":
        return reverse ? `${plural(shown.shape.n, "word")} lie on ${q} machines; the transformer has one token for each.`
          : `${plural(shown.shape.n, "word")} lie on the machines, ${b} on each. Layer 0 does the same: token 0 collects the words of tokens 0 to ${Math.min(b, shown.shape.n) - 1}.`;
      case "send": {
        const senders = round.loads.filter(load => load[0] > 0).length;
        return `Round ${at.round} of ${rounds}${round.phase ? `, ${round.phase}` : ""}: ${plural(senders, "machine")} will send ${plural(round.total, "word")}. ` + (at.round > 1 && hint(round) || "On the right each word waits under a key: the number of who gets it.");
      }
      case "meet": {
        const layer = round.layers[at.layer];
        if (!round.words) return `Layer ${layer.number} moves ${plural(round.total, "word")}. The fullest machine receives ${round.loads[fullest(round, 1)][1]} of ${allowed}.`;
        const heads = byHead(layer);
        if (heads.length === 0) return `Layer ${layer.number} moves nothing.`;
        const {to, head, moves} = heads[most(heads, h => h.moves.length)];
        return moves.length === 1
          ? `Layer ${layer.number}: every token asks for the key with its own number. Each head finds one word, so its average is that word.`
          : `Layer ${layer.number}: token ${to} asks for key ${to}. In head ${head} it finds ${moves.length} words, and attention hands over one average: each with weight 1/${moves.length}.`;
      }
      case "fall": {
        const heads = byHead(round.layers[at.layer]);
        const n = Math.max(...heads.map(h => h.moves.length), 1), full = fullest(round, 1);
        return (n > 1 ? `Times ${n}, and the words fall out of the average. ` : "") +
          `Both sides hold the same ${plural(round.total, "word")}. Machine ${full} is the fullest: ${round.loads[full][1]} of ${allowed}.`;
      }
      case "round": {
        const caption = document.querySelector(`#step-${at.round} .caption`)?.textContent;
        return `Round ${at.round} of ${rounds}${round.phase ? `, ${round.phase}` : ""}: ${plural(round.total, "word")} move. ${caption ?? ""}`;
      }
      default:
        return reverse ? `The machines hold the transformer's last rows, bit for bit.`
          : shown.outputs.length === 1 ? `The answer of both: ${shown.outputs[0] || "none"}.`
            : `The answers of both, in order: ${shown.outputs.map(o => o || "–").join(" ")}`;
    }
  }

  // ---- drawing

  const world = name => ({name, box: $(name), cards: [], chips: new Map(), marks: []});
  const worlds = {machines: world("machines"), tokens: world("tokens")};
  let built = "";

  function make(tag, className, text) {
    const element = document.createElement(tag);
    element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function columnsFor(count, width, height) {
    let best = 1, score = 0;
    for (let columns = 1; columns <= count; ++columns) {
      const w = width / columns, h = height / Math.ceil(count / columns);
      const fit = Math.min(w / 1.1, h / 1.25) * (count / (columns * Math.ceil(count / columns))) ** 2;  // a little higher than wide
      if (fit > score) score = fit, best = columns;
    }
    return best;
  }

  function build() {
    const counts = {machines: shown.shape.q, tokens: reverse ? trace.tokens : Math.max(shown.shape.q,
      ...shown.rounds.flatMap(r => r.layers.flatMap(l => (r === shown.rounds[shown.rounds.length - 1] ? [] : l.moves.map(m => m.to + 1)))))};
    for (const w of Object.values(worlds)) {
      const count = counts[w.name];
      w.box.replaceChildren();
      w.chips.clear();
      w.columns = columnsFor(count, w.box.clientWidth, w.box.clientHeight);
      w.box.style.setProperty("--columns", w.columns);
      w.box.style.setProperty("--rows", Math.ceil(count / w.columns));
      w.cards = Array.from({length: count}, (_, i) => {
        const card = make("div", "card"), tank = make("div", "tank");
        const name = make("b", "", (w.name === "machines" ? "machine " : "token ") + i), load = make("span", "load");
        const line = make("div", "line"), water = make("div", "water");
        tank.append(water, line);
        card.append(name, tank, load);
        w.box.append(card);
        return {card, name, tank, load, line, water};
      });
      w.box.classList.toggle("dense", count > 64);
      if (w.box.clientWidth / w.columns < 68) w.cards.forEach((c, i) => { c.name.textContent = String(i); });
    }
    built = layoutKey();
  }
  const layoutKey = () => [shown.shape.q, shown.shape.n, worlds.machines.box.clientWidth, worlds.machines.box.clientHeight].join();

  /** How many words a tank is high. A line far above all that happens is not drawn to scale. */
  function slots() {
    const {allowed} = shown.shape, {need} = shown;
    return allowed <= Math.max(1.5 * need, 8) ? Math.max(allowed, need) + 0.6 : 1.2 * need + 0.6;
  }

  /** Words lie side by side in a tank only where they would be too low to read. */
  function gridOf({clientWidth, clientHeight}, high) {
    const kHighest = 30, kLowest = 12, kNarrowest = 30;  // pixels of a word
    const columns = Math.max(1, Math.min(Math.ceil(high * kLowest / clientHeight), Math.floor(clientWidth / kNarrowest)));
    return {columns, unit: Math.min(kHighest, clientHeight / (high / columns))};
  }

  function place(w, items, high = slots()) {
    const old = w.chips, next = new Map();
    const boxes = w.cards.map(({tank}) => ({x: tank.offsetLeft, y: tank.offsetTop, w: tank.clientWidth, h: tank.clientHeight,
      grid: gridOf(tank, high), last: 0}));
    for (const item of items) if (item.share) boxes[item.card].last = Math.max(boxes[item.card].last, item.row);
    const delay = items.length > 1 ? 250 / items.length : 0;
    items.forEach((item, i) => {
      const box = boxes[item.card];
      if (!box) return;
      const {columns, unit} = item.share ? {columns: 1, unit: Math.min(box.grid.unit, box.h / (box.last + 1))} : box.grid;
      const h = unit, width = (box.w - 4) * (item.share ?? 1 / columns);
      const x = box.x + 2 + width * (item.share ? item.column ?? 0 : item.row % columns);
      const y = box.y + box.h + 1 - (Math.floor(item.row / columns) + 1) * h;
      let chip = old.get(item.id);
      const fresh = !chip;
      if (fresh) {
        chip = make("span", "chip");
        w.box.append(chip);
      }
      old.delete(item.id);
      next.set(item.id, chip);
      const text = (item.lead && width > 54 ? item.lead : "") + item.label + (item.tail && width > 74 ? ` ${item.tail}` : "");
      if (chip.textContent !== text) chip.textContent = text;
      chip.className = `chip ${item.kind ?? ""}${item.mixed ? " mixed" : ""}${item.over ? " over" : ""}${fresh ? " fresh" : ""}`;
      chip.style.cssText = `width:${Math.max(1, width - 1)}px;height:${Math.max(1, h - (h > 6 ? 2 : 0.5))}px;` +
        `transform:translate(${x}px,${y}px);font-size:${Math.max(7, Math.min(13, h * 0.62))}px;` +
        `line-height:${Math.max(1, h - 3)}px;${item.tint === undefined ? "" : `background:hsl(${item.tint} 70% 87%);`}transition-delay:${Math.round(i * delay)}ms${h < 9 ? ";color:transparent" : ""}`;
    });
    for (const chip of old.values()) chip.remove();
    w.chips = next;
  }

  function fill(w, loads, over) {
    const {allowed} = shown.shape, high = slots();
    w.cards.forEach(({card, tank, load, line, water}, i) => {
      const used = loads?.[i];
      load.textContent = used === undefined ? "" : `${used} of ${allowed}`;
      card.classList.toggle("over", over === i);
      const {columns, unit} = gridOf(tank, high);
      line.style.bottom = `${Math.min(tank.clientHeight, allowed * unit / columns)}px`;
      line.classList.toggle("beyond", allowed > high);
      line.hidden = reverse && w.name === "tokens";
      // Too many machines for tanks: the darker, the fuller.
      const dense = w.box.classList.contains("dense");
      water.style.opacity = dense ? Math.sqrt((used ?? 0) / high) : 1;
      water.style.height = dense ? "100%" : `${used === undefined ? 0 : Math.min(tank.clientHeight, used * unit / columns)}px`;
    });
  }

  function draw() {
    if (shown.refusal) {
      for (const w of Object.values(worlds)) w.box.replaceChildren(), w.cards = [], w.chips.clear();
      built = "";
      return;
    }
    if (built !== layoutKey()) build();
    const at = frames[frame], round = shown.rounds[at.round - 1], {b, allowed} = shown.shape;
    for (const w of Object.values(worlds)) for (const mark of w.marks.splice(0)) mark.remove();
    if (at.kind === "input") {
      const items = shown.input.map((label, i) => ({id: `input ${i}`, card: Math.floor(i / b), row: i % b, label, kind: "word", tint: tint({carries: [i]})}));
      place(worlds.machines, items);
      place(worlds.tokens, reverse ? shown.input.map((label, i) => ({id: `input ${i}`, card: i, row: 0, label, kind: "word", tint: tint({carries: [i]})})) : items);
      for (const w of Object.values(worlds)) fill(w, undefined, -1);
      return;
    }
    const over = at.broken ? shown.violation.machine : -1;
    const before = at.kind === "send", loads = round.loads.map(load => load[before ? 0 : 1]);
    const stack = (by, tail) => {
      const rows = new Map();
      return (round.words ?? []).map((word, i) => {
        const row = rows.get(word[by]) ?? 0;
        rows.set(word[by], row + 1);
        return {id: `${at.round} ${i}`, card: word[by], row, label: word.label, kind: word.kind, tint: tint(word),
          over: over === word[by] && row >= allowed, tail: tail(word)};
      });
    };
    const to = word => (word.output !== undefined ? `→ output ${word.output}` : `→ ${word.destination}`);
    const underKey = word => `key ${word.output ?? word.destination}`;
    const arrived = stack("destination", () => "");
    fill(worlds.machines, loads, over);
    place(worlds.machines, before ? stack("source", to) : arrived);
    worlds.machines.box.classList.toggle("wet", !round.words);
    if (reverse) { drawLayer(at, over); return; }
    worlds.tokens.box.classList.toggle("wet", !round.words);
    fill(worlds.tokens, before || at.kind !== "meet" || round.layers.length === 1 ? loads : undefined, over);
    if (before) place(worlds.tokens, stack("source", underKey));
    else if (at.kind === "meet" && !(at.broken)) place(worlds.tokens, averages(at, round));
    else place(worlds.tokens, arrived);
  }

  /** Equal words have equal colours, as far as a word carries one input word or several that are equal. */
  function tint(word) {
    const names = new Set((word.carries ?? []).map(i => shown.input[i]));
    if (names.size !== 1) return undefined;
    return [...new Set(shown.input)].indexOf([...names][0]) * 137.5 % 360;
  }

  /** Head by head from the bottom: the words of one average side by side, each as wide as its weight. */
  function averages(at, round) {
    if (!round.words) return [];
    const rows = new Map(), items = [], last = at.round === shown.rounds.length && !shown.violation;
    const card = to => (last && at.layer === round.layers.length - 1 ? Math.floor(to / shown.shape.b) : to);
    for (const {to, moves} of byHead(round.layers[at.layer]).sort((x, y) => x.to - y.to || x.head - y.head)) {
      const row = rows.get(card(to)) ?? 0, n = moves.length;
      rows.set(card(to), row + 1);
      moves.forEach((move, column) => {
        const word = round.words[move.word];
        items.push({id: `${at.round} ${move.word}`, card: card(to), row, column, share: 1 / n,
          lead: n > 1 ? `1/${n} ` : "", label: word.label, kind: word.kind, tint: tint(word), mixed: n > 1});
      });
    }
    return items;
  }

  /** A layer of a model: in each token's card a row for each head, with the keys that its query met. */
  function drawLayer(at, over) {
    const layer = trace.layers.find(l => at.round >= l.first_round && at.round < l.first_round + l.rounds) ??
      trace.layers[at.round < trace.layers[0].first_round ? 0 : trace.layers.length - 1];
    const items = [], rows = new Map();
    for (const match of layer.matches) {
      const row = rows.get(match.query) ?? 0;
      rows.set(match.query, row + 1);
      const total = match.total || 1;
      let column = 0;
      if (match.keys.length === 0)
        items.push({id: `${layer.layer} ${match.head} ${match.query}`, card: match.query, row, share: 1, label: "all keys", kind: "word", mixed: true});
      for (const [token, tables] of match.keys) {
        const share = tables / total;
        items.push({id: `${layer.layer} ${match.head} ${match.query} ${token}`, card: match.query, row, share,
          column: column / share, label: String(token), kind: "word", mixed: match.keys.length > 1});
        column += share;
      }
    }
    place(worlds.tokens, items, Math.max(...rows.values(), 4));
    worlds.tokens.cards.forEach(({card, load, water, line}, i) => {
      const wrong = lacking()?.tokens.includes(i) ?? false;
      card.classList.toggle("over", wrong);
      load.textContent = wrong ? "another row" : rows.has(i) ? `${plural(rows.get(i), "average")}` : "no key";
      water.style.height = "0", line.hidden = true;
    });
    if (over >= 0) for (const {card} of worlds.tokens.cards) card.classList.add("over");
    $("tokens-title").textContent = `Layer ${layer.layer}: tokens and the keys they meet`;
  }

  // ---- moving about

  let timer = 0, asked = -1, right = 0, guesses = 0;

  function show() {
    const at = frames[frame];
    $("stage").classList.toggle("broken", Boolean(at.broken || shown.refusal));
    $("say").textContent = sentence(at);
    if (!reverse) {
      const round = shown.rounds?.[at.round - 1];
      $("machines-title").textContent = at.round === 0 || !round ? "Machines and messages" : `Round ${at.round}: machines and messages`;
      $("tokens-title").textContent = at.round === 0 || !round ? "Tokens and attention: layer 0"
        : `Layer ${round.layers[at.layer ?? 0]?.number ?? at.round}: tokens and attention`;
    } else if (at.round > 0) {
      $("machines-title").textContent = `Round ${at.round}: machines and messages`;
    }
    draw();
    const slider = $("frame");
    slider.max = frames.length - 1;
    slider.value = frame;
    slider.setAttribute("aria-valuetext", `frame ${frame} of ${frames.length - 1}: ${at.kind}${at.round ? ` of round ${at.round}` : ""}`);
    $("back").disabled = frame === 0;
    $("forward").disabled = frame === frames.length - 1;
    $("count").textContent = `${frame} / ${frames.length - 1}`;
    const own = live && shown.shape ? shown.shape.s : trace.memory_words;
    $("s").max = Math.max(own, shown.need ?? 0) + 2;
    $("s").value = limit || own;
    $("s-value").textContent = limit || own;
    $("ask").hidden = asked !== frame;
    $("say").hidden = asked === frame;
  }

  function go(to, {keep = false} = {}) {
    frame = Math.max(0, Math.min(frames.length - 1, to));
    if (!keep) history.replaceState(null, "", `#${frame}`);
    show();
    RoundtripStage.onframe?.(frames[frame].round);
  }

  function stop() {
    clearTimeout(timer);
    timer = 0;
    $("play").textContent = "▶ play";
    $("play").setAttribute("aria-pressed", "false");
  }
  function tick() {
    timer = setTimeout(() => {
      if (frame === frames.length - 1) { stop(); return; }
      if (question()) return;
      go(frame + 1);
      tick();
    }, calm.matches ? kCalmDwell : kDwell);
  }
  function play() {
    if (timer) { stop(); return; }
    if (frame === frames.length - 1) go(0);
    $("play").textContent = "❚❚ pause";
    $("play").setAttribute("aria-pressed", "true");
    if (frame === 0 && !question()) go(1);
    tick();
  }
  function forward() {
    if (!question()) go(frame + 1);
  }

  /** Before a reveal, if the reader wants to guess: true while an answer is awaited. */
  function question() {
    const at = frames[frame], next = frames[frame + 1];
    if (!$("guess").checked || asked === frame || !next || reverse || shown.refusal || next.round === 0) return false;
    const round = shown.rounds[next.round - 1];
    let text, answer, options;
    if (next.kind === "meet" && at.kind === "send" && shown.shape.q > 1) {
      answer = fullest(round, 1);
      const load = round.loads[answer][1];
      options = [answer, ...round.loads.map((_, i) => i).filter(i => round.loads[i][1] < load)].slice(0, 4).sort((a, b) => a - b);
      if (options.length < 2) return false;
      text = "Guess first: which machine receives the most words now?";
    } else if (next.kind === "fall") {
      answer = Math.max(...byHead(round.layers[next.layer]).map(h => h.moves.length), 1);
      options = [1, 2, 3, 4].includes(answer) ? [1, 2, 3, 4] : [1, 2, 3, answer];
      text = "Guess first: by which number must the fullest average be multiplied?";
    } else {
      return false;
    }
    asked = frame;
    $("ask-text").textContent = text;
    $("ask-options").replaceChildren(...options.map(option => {
      const button = make("button", "", String(option));
      button.type = "button";
      button.addEventListener("click", () => {
        ++guesses;
        const hit = option === answer;
        if (hit) ++right;
        $("score").textContent = `${hit ? "Right" : `No: it is ${answer}`}. ${right} of ${plural(guesses, "guess").replace("guesss", "guesses")} right.`;
        const playing = timer !== 0;
        asked = -1;
        go(frame + 1);
        if (playing) { clearTimeout(timer); tick(); }
        $("forward").focus();
      });
      return button;
    }));
    $("ask").hidden = false;
    $("say").hidden = true;
    $("ask-options").firstChild.focus();
    return true;
  }

  // ---- what the reader changes

  function words() {
    return $("text").value.trim().split(/\s+/u).filter(word => word !== "").map(word => [...word].slice(0, 24).join(""));
  }

  function changed({rewind = false} = {}) {
    asked = -1;
    if (live) {
      const k = Number($("k").value), list = words();
      spec = {...spec, words: list, k, asNumbers: null};
    }
    const kept = frames[frame];
    update();
    if (rewind) frame = 0;
    else if (shown.violation) frame = frames.length - 1;
    else frame = Math.max(0, frames.findIndex(f => f.round === kept?.round && f.kind === kept?.kind));
    go(frame);
    const same = !live || (spec.words.join(" ") === trace.input.join(" ") && spec.protocol === trace.play?.protocol);
    $("other").hidden = same;
  }

  function choose(protocol, {text, k, s} = {}) {
    stop();
    const config = protocol === trace.play?.protocol ? {eps: trace.play.epsilon, text: trace.input.join(" ")} : kDefaults[protocol];
    spec = {protocol, eps: text === undefined ? config.eps : kDefaults[protocol].eps, k: 2, words: []};
    $("protocol").value = protocol;
    $("text").value = text ?? config.text;
    if (k !== undefined) $("k").value = k;
    $("k-field").hidden = protocol !== "k_hop_walk";
    limit = s ?? 0;
    changed({rewind: true});
  }

  /** Whether the engine makes of the page's input exactly what the trace has; then the page is live. */
  function matches() {
    const {protocol, epsilon, k} = trace.play;
    if (!(protocol in RoundtripEngine.protocols)) return null;
    for (const asNumbers of [RoundtripEngine.values(trace.input), RoundtripEngine.numbered(trace.input)]) {
      const run = RoundtripEngine.run({protocol, words: trace.input, eps: epsilon, k, asNumbers});
      if (run.refusal || run.violation || run.rounds.length !== trace.rounds.length || run.shape.s !== trace.memory_words) continue;
      const same = run.rounds.every((round, r) => trace.rounds[r].words?.length === round.words.length && round.words.every((w, i) => {
        const other = trace.rounds[r].words[i];
        return other.source === w.source && other.destination === w.destination && other.word === String(w.word);
      }));
      if (same) return asNumbers;
    }
    return null;
  }

  function start() {
    $("stage").hidden = false;
    document.body.classList.add("staged");
    const asNumbers = trace.play && trace.construction === "direct" ? matches() : null;
    $("text").value = trace.input.join(" ");
    if (asNumbers) {
      live = true;
      spec = {protocol: trace.play.protocol, words: trace.input, eps: trace.play.epsilon, k: trace.play.k, asNumbers};
      for (const [name, info] of Object.entries(RoundtripEngine.protocols)) {
        const option = make("option", "", name.replaceAll("_", " "));
        option.value = name;
        option.title = info.summary;
        $("protocol").append(option);
      }
      $("protocol").value = spec.protocol;
      $("k").value = spec.k;
      $("k-field").hidden = spec.protocol !== "k_hop_walk";
    } else {
      $("text").readOnly = true;
      for (const id of ["protocol-field", "k-field"]) $(id).hidden = true;
    }
    if (reverse) {
      $("guess-field").hidden = true;
      $("without-field").hidden = !trace.withouts;
      (trace.withouts ?? []).forEach(({part}, i) => {
        const option = make("option", "", part);
        option.value = i;
        $("without").append(option);
      });
      $("without").addEventListener("change", () => {
        stop();
        without = trace.withouts[$("without").value] ?? null;
        go(without ? frames.length - 1 : frame);
      });
    }
    update();
    $("text").addEventListener("input", () => { stop(); changed(); });
    $("k").addEventListener("input", () => { stop(); changed(); });
    $("s").addEventListener("input", () => { stop(); limit = Number($("s").value); changed(); });
    $("protocol").addEventListener("change", () => choose($("protocol").value));
    $("play").addEventListener("click", play);
    $("back").addEventListener("click", () => { stop(); asked = -1; go(frame - 1); });
    $("forward").addEventListener("click", () => { stop(); forward(); });
    $("frame").addEventListener("input", () => { stop(); asked = -1; go(Number($("frame").value)); });
    $("bar").addEventListener("submit", event => event.preventDefault());
    new ResizeObserver(() => { if (!shown.refusal && built !== layoutKey()) draw(); }).observe($("machines"));
    addEventListener("hashchange", () => {
      const wanted = /^#(\d+)$/.exec(location.hash);
      if (wanted && Number(wanted[1]) !== frame) { stop(); go(Number(wanted[1]), {keep: true}); }
    });
    const wanted = /^#(\d+)$/.exec(location.hash);
    go(wanted ? Number(wanted[1]) : 0, {keep: true});
    RoundtripPuzzles.start(live);
  }

  return {
    start, choose, onframe: null,
    key(event) {  // true if the key was for the stage
      if (event.target.matches?.("input, select, textarea") && event.target.id !== "guess") return false;
      if (event.key === "ArrowRight") { stop(); forward(); }
      else if (event.key === "ArrowLeft") { stop(); asked = -1; go(frame - 1); }
      else if (event.key === " " && !event.target.matches?.("button, a, summary, input")) play();
      else return false;
      return true;
    },
    state: () => ({spec: {...spec, limit}, shown, frame, frames, live}),
  };
})();
