// Ten puzzles. Each is checked by a run of the engine on what the reader typed; a wrong solution hears which rule it broke.
"use strict";
const RoundtripPuzzles = (() => {
  const cat = "the cat saw the dog and the dog saw the cat so the cat sat down";
  const length = (words, least, most = least) =>
    (words.length < least || words.length > most
      ? `It has ${words.length} words; the rule asks for ${least === most ? least : `${least} to ${most}`}.` : "");
  const broke = run => (run.violation ? `It broke a limit: ${run.violation.text}.` : "");
  const received = run => Math.max(...run.rounds.flatMap(round => round.loads.map(load => load[1])));

  // `check` gets what was typed and its run; it returns the rule that was broken, or "".
  const puzzles = [
    {title: "The least memory", protocol: "word_count", text: cat, s: 8,
      task: "Set s to the smallest memory with which this sentence can still be counted.",
      check: ({words, limit}, run, need) => (words.join(" ") !== cat ? "The sentence must stay as it is." : broke(run) ||
        (limit !== need ? `It runs with s = ${limit || run.shape.s}, but a smaller s would do.` : ""))},
    {title: "A light load", protocol: "word_count", text: cat,
      task: "Write 16 words for which no machine ever receives more than 2 words.",
      check: ({words}, run) => length(words, 16) || broke(run) ||
        (received(run) > 2 ? `A machine received ${received(run)} words; the rule allows 2.` : "")},
    {title: "The worst load", protocol: "word_count", text: "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
      task: "Choose 16 numbers from 0 to 15 for which some machine receives 8 words in one round.",
      check: ({words}, run) => length(words, 16) || broke(run) ||
        (received(run) < 8 ? `No machine received more than ${received(run)} words; the rule asks for 8.` : "")},
    {title: "Aim", protocol: "word_count", text: "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", s: 2,
      task: "With s = 2, choose 16 numbers from 0 to 15 so that the first limit to break is that of machine 5.",
      check: ({words, limit}, run) => length(words, 16) || (limit !== 2 ? `s is ${limit || run.shape.s}; the rule says 2.` : "") ||
        (!run.violation ? "No machine broke its limit." : run.violation.machine !== 5
          ? `The first to break its limit is machine ${run.violation.machine}, not 5.` : "")},
    {title: "A flat tree", protocol: "sum", text: "1 2 3 4 5 6 7 8 9 10",
      task: "Type as many numbers as you can such that they are still added up in 3 rounds.",
      check: ({words}, run) => broke(run) || (run.shape.rounds > 3 ? `It took ${run.shape.rounds} rounds; the rule allows 3.` : "") ||
        (words.length < 27 ? `3 rounds they are, but more than ${words.length} numbers would do.` : "")},
    {title: "A round number", protocol: "sum", text: "3 1 4 1 5 9 2 6 5 3 5 8 9 7 9 3",
      task: "Type 8 to 16 different numbers whose sum is 0.",
      check: ({words}, run) => length(words, 8, 16) || broke(run) ||
        (new Set(words).size < words.length ? "Two of the numbers are equal." : "") ||
        (run.outputs[0] !== 0 ? `Their sum is ${run.outputs[0]}; the rule says 0.` : "")},
    {title: "The longest way", protocol: "odd_even_sort", text: "31 4 15 92 65 35 89 79 32 38 46 26 43 83 27 95",
      task: "Order 16 numbers so that the smallest one starts on the last machine, and must cross all of them.",
      check: ({words}, run) => {
        const first = run.rounds[run.rounds.length - 1].words.find(w => w.output === 0);
        const machine = first?.carries.length ? Math.floor(first.carries[0] / run.shape.b) : 0;
        return length(words, 16) || broke(run) ||
          (machine < run.shape.q - 1 ? `The smallest number started on machine ${machine}, not on machine ${run.shape.q - 1}.` : "");
      }},
    {title: "Four words of memory", protocol: "odd_even_sort", text: "9 8 7 6 5 4 3 2 1 0", s: 4,
      task: "Sort as many numbers as possible with s = 4.",
      check: ({words, limit}, run) => (limit !== 4 ? `s is ${limit || run.shape.s}; the rule says 4.` : "") || broke(run) ||
        (words.length < 8 ? `${words.length} numbers can be sorted so, but more would do.` : "")},
    {title: "Nothing to find", protocol: "k_hop_walk", text: cat, k: 1,
      task: "Write at least 8 words for which, with k = 1, every answer is none.",
      check: ({words, k}, run) => length(words, 8, 64) || (k !== 1 ? `k is ${k}; the rule says 1.` : "") || broke(run) ||
        (run.outputs.some(o => o !== null) ? `Place ${run.outputs.findIndex(o => o !== null)} has an answer.` : "")},
    {title: "Four hops", protocol: "k_hop_walk", text: cat, k: 4,
      task: "With k = 4 the last of 8 to 16 words must have an answer, and no word may be next to itself.",
      check: ({words, k}, run) => length(words, 8, 16) || (k !== 4 ? `k is ${k}; the rule says 4.` : "") || broke(run) ||
        (words.some((w, i) => i > 0 && w === words[i - 1]) ? `“${words.find((w, i) => i > 0 && w === words[i - 1])}” is next to itself.` : "") ||
        (run.outputs[run.outputs.length - 1] === null ? "The last word has no answer." : "")},
  ];

  const judge = (puzzle, spec) => {
    if (spec.protocol !== puzzle.protocol) return `The puzzle is about ${puzzle.protocol.replaceAll("_", " ")}.`;
    const run = RoundtripEngine.run(spec);
    if (run.refusal) return `This cannot run: ${run.refusal}.`;
    return puzzle.check(spec, run, RoundtripEngine.need(spec));
  };

  function start(live) {
    const section = document.getElementById("puzzles");
    if (!live) return;
    section.hidden = false;
    const solved = new Set(), list = document.getElementById("puzzle-list"), verdict = document.getElementById("verdict");
    let chosen = -1;
    const buttons = puzzles.map((puzzle, i) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.textContent = puzzle.title;
      button.addEventListener("click", () => {
        chosen = i;
        RoundtripStage.choose(puzzle.protocol, puzzle);
        document.getElementById("task").textContent = puzzle.task;
        document.getElementById("check").disabled = false;
        verdict.textContent = "Change the words, k or s above, then check.";
        buttons.forEach((other, j) => other.setAttribute("aria-pressed", String(i === j)));
        scrollTo({top: 0, behavior: "instant"});
      });
      item.append(button);
      list.append(item);
      return button;
    });
    document.getElementById("check").addEventListener("click", () => {
      const broken = judge(puzzles[chosen], RoundtripStage.state().spec);
      if (!broken) solved.add(chosen), buttons[chosen].classList.add("solved");
      verdict.textContent = broken || `Solved: ${solved.size} of ${puzzles.length}.`;
      verdict.classList.toggle("wrong", broken !== "");
    });
  }

  return {start, puzzles, judge};
})();
