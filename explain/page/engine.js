// The small engine: four protocols of the library, step by step as mpc/protocols has them, so that a reader can change
// the sentence, k and s. Tests compare it with the program, message by message and bit for bit. A word is a number below
// 2^48, which a double holds exactly; beside it travel a label and the places of the input words that it carries.
"use strict";
const RoundtripEngine = (() => {
  const kMinWords = 2, kMaxWords = 64, kMaxHops = 4096;
  const power = bits => 2 ** bits;
  const bitWidth = n => n.toString(2).length;
  const ceilDiv = (a, b) => Math.ceil(a / b);
  const ceilLog = (base, value) => {
    let e = 0;
    for (let rest = value; rest > 1; rest = ceilDiv(rest, base)) ++e;
    return e;
  };
  /** The least b with b >= n^(numerator / denominator). */
  const ceilPower = (n, [numerator, denominator]) => {
    const goal = BigInt(n) ** BigInt(numerator);
    let b = 1;
    while (BigInt(b) ** BigInt(denominator) < goal) ++b;
    return b;
  };
  class Refusal extends Error {}
  const require = (condition, message) => { if (!condition) throw new Refusal(message); };

  const kappaSizes = (n, eps, kappa, enough) => {
    const b = ceilPower(n, eps);
    while (!enough(b, kappa * b)) ++kappa;
    return {b, s: kappa * b};
  };
  const blockSize = (n, b, machine) => Math.max(0, Math.min(b, n - machine * b));

  // ---- stages

  /** Odd-even merge-split: mpc/stages/odd_even_sort. */
  function oddEvenSort(n, b, load) {
    const count = machine => blockSize(n, b, machine);
    const lower = (machine, round) => ((machine + round) % 2 === 1 || machine === 0 ? machine : machine - 1);
    const block = (machine, round, inbox) => {
      const size = count(machine);
      if (size === 0) return [];
      if (round === 1) return load(machine, inbox);
      const merged = [...inbox].sort((x, y) => x.word - y.word);
      return lower(machine, round - 1) === machine ? merged.slice(0, size) : merged.slice(merged.length - size);
    };
    const rounds = ceilDiv(n, b);
    return {
      rounds, count,
      result: (machine, inbox) => block(machine, rounds + 1, inbox),
      step(machine, round, inbox, send) {
        const words = block(machine, round, inbox);
        if (words.length === 0) return;
        const first = lower(machine, round);
        const paired = (first + round) % 2 === 1 && count(first + 1) > 0;
        for (const to of paired ? [first, first + 1] : [machine]) for (const word of words) send(to, word);
      },
    };
  }

  /** A tree of fan-in f over the leaves: mpc/stages/tree.h. */
  function treeOver(leaves, fan) {
    const span = level => {
      let width = 1;
      while (level-- > 0 && width < leaves) width *= fan;
      return width;
    };
    const node = (level, leaf) => leaf - leaf % span(level);
    const host = (level, leaf) => {
      const start = node(level, leaf);
      for (; level > 0; --level) if (start + span(level - 1) < leaves) return start + span(level - 1);
      return start;
    };
    return {depth: ceilLog(fan, leaves), host, hosts: (machine, level) => host(level, machine) === machine};
  }

  // ---- protocols: make(n, eps, k) gives sizes, phases [name, rounds, step(machine, round, inbox, send, deliver)]

  const kSumBits = 48;
  const protocols = {
    sum: {
      summary: "adds up all numbers on a tree of machines",
      inputBits: () => kSumBits,
      make(n, eps) {
        const {b, s} = kappaSizes(n, eps, 1, (block, memory) => memory >= 2 || n <= block);
        const leaves = ceilDiv(n, b);
        const tree = treeOver(leaves, Math.max(s, 2));
        const add = parts => parts.reduce((sum, part) => ({
          word: (sum.word + part.word) % power(kSumBits), value: sum.value + part.value,
          label: String(sum.value + part.value), carries: [...sum.carries, ...part.carries], kind: "sum"}));
        const combined = (machine, level, inbox) =>
          (machine < leaves && inbox.length > 0 && tree.hosts(machine, level) ? [add(inbox)] : []);
        return {
          b, s, q: leaves, outputs: 1,
          phases: [
            ["add", tree.depth, (machine, round, inbox, send) => {
              for (const sum of combined(machine, round - 1, inbox)) send(tree.host(round, machine), sum);
            }],
            ["deliver", 1, (machine, round, inbox, send, deliver) => {
              const surplus = (n - 1) % 2 * power(kSumBits - 1);
              for (const sum of combined(machine, tree.depth, inbox))
                deliver(0, {...sum, word: (sum.word + surplus) % power(kSumBits)});
            }]],
          decode: word => word - power(kSumBits - 1),
        };
      },
    },

    word_count: {
      summary: "counts how often every word occurs",
      inputBits: () => 48,
      accept(values) {
        values.forEach((value, i) => require(value >= 0 && value < values.length,
          `word ${i} is ${value}, allowed is 0 to N - 1 = ${values.length - 1}`));
      },
      make(n, eps) {
        const needed = b => {
          let most = b;
          for (let j = 1; j <= ceilLog(2, ceilDiv(n, b)); ++j)
            most = Math.max(most, Math.min(2 * ceilDiv(n, power(j)), b * power(j)));
          return most;
        };
        const {b, s} = kappaSizes(n, eps, 1, (block, memory) => memory >= needed(block));
        const d = ceilLog(2, ceilDiv(n, b)), unit = power(bitWidth(n));
        const counted = (inbox, input) => {
          const counts = inbox.map(w => (input ? {...w, word: unit + w.word - power(47)} : w));
          counts.sort((x, y) => x.word % unit - y.word % unit);
          const kept = [];
          for (const next of counts) {
            const last = kept[kept.length - 1];
            if (last && last.word % unit === next.word % unit) {
              kept[kept.length - 1] = {...last, word: last.word + next.word - next.word % unit,
                carries: [...last.carries, ...next.carries]};
            } else {
              kept.push({...next, kind: "count"});
            }
          }
          return kept.map(w => ({...w, label: `${w.name} ×${Math.floor(w.word / unit)}`}));
        };
        return {
          b, s, q: power(d), outputs: n,
          phases: [
            ["exchange counts", d, (machine, round, inbox, send) => {
              const bit = power(round - 1);
              for (const w of counted(inbox, round === 1)) send(machine ^ (((w.word % unit) ^ machine) & bit), w);
            }],
            ["deliver", 1, (machine, round, inbox, send, deliver) => {
              const counts = counted(inbox, d === 0);
              for (let t = machine, next = 0; t < n; t += power(d)) {
                const found = next < counts.length && counts[next].word % unit === t;
                const count = found ? counts[next++] : {word: 0, label: "0", carries: [], kind: "none"};
                deliver(t, {...count, word: Math.floor(count.word / unit)});
              }
            }]],
          decode: word => word,
        };
      },
    },

    odd_even_sort: {
      summary: "sorts words on a line of machines that talk to their neighbours",
      inputBits: n => 48 - bitWidth(n),
      make(n, eps) {
        const {b, s} = kappaSizes(n, eps, 2, () => true);
        const unit = power(bitWidth(n));
        const sort = oddEvenSort(n, b, (machine, inbox) =>
          inbox.map((w, i) => ({...w, word: w.word * unit + machine * b + i})));
        return {
          b, s, q: ceilDiv(n, b), outputs: n,
          phases: [
            ["sort with a neighbour", sort.rounds, sort.step],
            ["deliver", 1, (machine, round, inbox, send, deliver) => {
              sort.result(machine, inbox).forEach((w, i) =>
                deliver(machine * b + i, {...w, word: Math.floor(w.word / unit)}));
            }]],
          decode: word => word - power(48 - bitWidth(n) - 1),
        };
      },
    },

    k_hop_walk: {
      summary: "looks up, k times over, the word after the previous occurrence",
      inputBits: () => 18,
      make(n, eps, k) {
        require(Number.isInteger(k) && k >= 1 && k <= kMaxHops, `k is '${k}', allowed is an integer from 1 to ${kMaxHops}`);
        const {b, s} = kappaSizes(n, eps, 3, () => true);
        const unit = power(bitWidth(n)), endedBit = unit * power(18);
        const owner = position => Math.floor((position - 1) / b);
        const sort = oddEvenSort(n, b, (machine, inbox) =>
          inbox.map((w, i) => ({...w, word: w.word * unit + machine * b + i + 1})));
        const state = (machine, inbox, first) => {
          const size = sort.count(machine);
          if (first) {
            const list = [];
            for (const w of inbox) {
              const target = w.word % unit, symbol = Math.floor(w.word / unit / unit);
              list[Math.floor(w.word / unit) % unit - 1 - machine * b] =
                {...w, word: symbol * unit + target + (target === 0 ? endedBit : 0), kind: "word", label: w.name};
            }
            return {list, walkers: []};
          }
          const own = inbox.filter(w => w.source === machine);
          const list = own.slice(0, size).map(w => ({...w}));
          const rest = inbox.filter(w => w.source !== machine || !own.slice(0, size).includes(w));
          const walkers = [];
          for (const w of rest) {
            if (w.word % unit !== 0) { walkers.push(w); continue; }
            const place = list[Math.floor(w.word / unit) - 1 - machine * b];
            if (place.word < endedBit) place.word += endedBit;
          }
          return {list, walkers};
        };
        const walker = (start, target) => ({word: start * unit + target, carries: [start - 1],
          kind: target === 0 ? "none" : "walker", label: target === 0 ? `${start - 1}: none` : `${start - 1} ⇢ ${target - 1}`});
        return {
          b, s, q: ceilDiv(n, b), outputs: n,
          phases: [
            ["sort with a neighbour", sort.rounds, sort.step],
            ["show the last word to the next machine", 1, (machine, round, inbox, send) => {
              const sorted = sort.result(machine, inbox);
              if (sorted.length === 0) return;
              for (const w of sorted) send(machine, w);
              if (sort.count(machine + 1) > 0) send(machine + 1, sorted[sorted.length - 1]);
            }],
            ["tell every place what to look up", 1, (machine, round, inbox, send) => {
              const size = sort.count(machine);
              const sorted = inbox.filter(w => w.source === machine).slice(0, size);
              let before = inbox.filter(w => w.source === machine - 1).pop() ?? null;
              for (const w of sorted) {
                const repeats = before !== null && Math.floor(before.word / unit) === Math.floor(w.word / unit);
                const target = repeats ? before.word % unit + 1 : 0, position = w.word % unit;
                send(owner(position), {...w, word: (Math.floor(w.word / unit) * unit + position) * unit + target,
                  label: `${w.name} ⇢ ${target === 0 ? "none" : target - 1}`});
                before = w;
              }
            }],
            ["walk", k, (machine, round, inbox, send) => {
              const {list, walkers} = state(machine, inbox, round === 1);
              for (const w of list) send(machine, w);
              if (round === 1) {
                list.forEach((w, i) => {
                  const target = w.word % unit;
                  if (target !== 0) send(owner(target), walker(machine * b + i + 1, target));
                });
                return;
              }
              for (const w of walkers) {
                const start = Math.floor(w.word / unit);
                const target = list[w.word % unit - 1 - machine * b].word % unit;
                send(owner(target !== 0 ? target : start), walker(start, target));
              }
            }],
            ["deliver", 1, (machine, round, inbox, send, deliver) => {
              const {list, walkers} = state(machine, inbox, false);
              for (const w of walkers) {
                const found = list[w.word % unit - 1 - machine * b];
                deliver(Math.floor(w.word / unit) - 1,
                  {...found, word: Math.floor(found.word % endedBit / unit) + 1, label: found.name, kind: "word"});
              }
              list.forEach((w, i) => {
                if (w.word >= endedBit)
                  deliver(machine * b + i, {word: 0, label: "none", carries: [], kind: "none"});
              });
            }]],
          decode: word => (word === 0 ? null : word - 1 - power(17)),
        };
      },
    },
  };

  // ---- input

  /** A sentence as values: numbers if every word is one, else each word's number by first occurrence. */
  function values(words) {
    if (words.every(word => /^-?\d{1,15}$/.test(word))) return words.map(Number);
    return numbered(words);
  }
  function numbered(words) {
    const numbers = new Map();
    return words.map(word => {
      if (!numbers.has(word)) numbers.set(word, numbers.size);
      return numbers.get(word);
    });
  }

  /**
   * One run. `limit` is enforced instead of s (0: s). Throws nothing: `refusal` says what is not allowed. After a
   * violation the rounds end with the one in which it happened, whose words are given all the same.
   */
  function run({protocol, words, k = 2, eps, limit = 0, asNumbers = null}) {
    try {
      const n = words.length, info = protocols[protocol];
      require(n >= kMinWords && n <= kMaxWords, `N is ${n}, allowed is ${kMinWords} to ${kMaxWords}`);
      const list = asNumbers ?? values(words);
      const made = info.make(n, eps, k);
      const bits = info.inputBits(n), offset = power(bits - 1);
      list.forEach((value, i) => require(value >= -offset && value < offset,
        `word ${i} is ${value}, allowed is ${-offset} to ${offset - 1} (words of ${bits} bits)`));
      info.accept?.(list);
      const allowed = limit || made.s;
      const shape = {n, b: made.b, s: made.s, q: made.q, outputs: made.outputs, allowed,
        rounds: made.phases.reduce((sum, phase) => sum + phase[1], 0)};

      let inboxes = Array.from({length: made.q}, () => []);
      list.forEach((value, i) => {
        const machine = Math.floor(i / made.b);
        inboxes[machine].push({source: machine, word: value + offset, value, name: words[i], label: words[i],
          carries: [i], kind: "word"});
      });
      const result = {shape, rounds: [], outputs: [], violation: null, refusal: null};
      for (const [name, count, step] of made.phases) {
        for (let r = 1; r <= count; ++r) {
          const round = result.rounds.length + 1;
          const sent = [];
          for (let machine = 0; machine < made.q; ++machine) {
            let sequence = 0;
            const send = (destination, word) =>
              sent.push({...word, source: machine, sequence: sequence++, destination});
            step(machine, r, inboxes[machine], send, (output, word) =>
              sent.push({...word, source: machine, sequence: sequence++, output,
                destination: Math.floor(output / made.b)}));
          }
          const loads = Array.from({length: made.q}, () => [0, 0]);
          for (const w of sent) ++loads[w.source][0], ++loads[w.destination][1];
          result.rounds.push({phase: count === 1 ? name : `${name}, ${r} of ${count}`, words: sent, loads});
          for (const side of [0, 1]) {
            const machine = loads.findIndex(load => load[side] > allowed);
            if (machine < 0) continue;
            const used = loads[machine][side], kind = side === 0 ? "sent" : "received";
            result.violation = {machine, round, kind, used, allowed,
              text: `machine ${machine} in round ${round} ${kind} ${used} words, allowed ${allowed}`};
            return result;
          }
          inboxes = Array.from({length: made.q}, (_, machine) => sent.filter(w => w.destination === machine));
        }
      }
      const last = result.rounds[result.rounds.length - 1].words;
      for (let t = 0; t < made.outputs; ++t) result.outputs.push(made.decode(last.find(w => w.output === t).word));
      return result;
    } catch (error) {
      if (error instanceof Refusal) return {refusal: error.message};
      throw error;
    }
  }

  /** The most words that any machine sends or receives in a round: the least s with which the run goes through. */
  function need(spec) {
    const result = run({...spec, limit: 2 ** 31});
    if (result.refusal) return 0;
    return Math.max(...result.rounds.flatMap(round => round.loads.flat()));
  }

  return {protocols, run, need, values, numbered, kMinWords, kMaxWords};
})();
if (typeof module !== "undefined") module.exports = RoundtripEngine;
