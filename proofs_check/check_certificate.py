#!/usr/bin/python3
"""A stranger's checker: check_certificate.py FILE.., as `roundtrip compile PROTOCOL --certificate FILE` writes them.

It shares no code with that program, and recomputes from a certificate alone:
  run        in each of R rounds every machine sends and receives at most s words, of the declared width, to machines
             that there are; the last round delivers each output once; the largest loads and the total are those claimed
  layers     their number, heads, dimensions and width are those claimed, and those that the construction's formulas give
  Q, K, V    of each head, from the rows of the layer before: ids of machines, and packets (or slots) of the row's words
  averages   of the values of all keys that are the query (by vector, or by code in ANNA's table), from exact integer sums
  messages   decoded from the averages they are each machine's inbox of the run; the rows that a layer leaves hold what
             that machine sends next and nothing else
  outputs    read from the last averages and rows, they are the run's, and those of a sequential algorithm, if one is here

TRUSTED: the protocol's step (that a machine's words follow from its inbox), where no algorithm here knows the answers;
that ANNA's codes are those of its hash functions; that nothing was kept beside messages and rows; this file and Python.

A certificate is JSON Lines, in gzip or not: claims with input and outputs as words (x + 2^(input_bits - 1)); the ids'
vectors and codes; a line a round (`sent`: of each machine [destination, word, ..] in order); a line a layer:
  sizes  [heads, dimension of queries and keys, of values, of the rows left]
  heads  [queries, keys, values, averages] each. Queries and keys: [token, id, id, ..] for tokens in a row, null if as in
         the head before; tokens that are not listed have null_query, null_key
  rows   as values and averages: [token, [column, number, ..]]; what is not listed is 0
Exit status: 0 all accepted, 1 one rejected, 2 one could not be read.
"""
import collections
import gzip
import itertools
import json
import pathlib
import sys
import zlib
class Rejected(Exception): pass

def need(holds, *what):
    if not holds:
        raise Rejected(" ".join(str(part) for part in what))

def pairs(flat):
    need(len(flat) % 2 == 0, "half a pair:", flat[:8])
    return list(zip(flat[0::2], flat[1::2]))

def rows_of(listed):
    rows = {token: dict(pairs(flat)) for token, flat in listed}
    need(len(rows) == len(listed), "a token has two rows")
    need(all(len(rows[token]) == len(flat) // 2 for token, flat in listed), "a row has a column twice")
    return rows

def points_of(runs):
    points = {token: symbol for first, *symbols in runs for token, symbol in enumerate(symbols, first)}
    need(len(points) == sum(len(run) - 1 for run in runs), "a token has two queries or keys in a head")
    return points

def nonzero(entries):
    return {column: number for column, number in entries if number != 0}

def same(found, expected, *what):
    """Two dictionaries."""
    if found != expected:
        for key in sorted(set(found) | set(expected)):
            need(found.get(key) == expected.get(key), *what, key, "is", found.get(key), "and must be", expected.get(key))

class Run:
    """The machines and their words: sent[r][i] = [(destination, word), ..] for rounds r = 1 .. R."""

    def __init__(self, head, lines):
        shape, claims = head["shape"], head["claims"]
        self.n, self.outputs, self.b, self.s = (shape[k] for k in ("n", "outputs", "block_words", "memory_words"))
        self.q, self.rounds = shape["machines"], shape["rounds"]
        self.input, self.output_words = head["input"], head["outputs"]
        same({"n": self.n, "outputs": self.outputs}, {"n": len(self.input), "outputs": len(self.output_words)}, "claimed")
        need(1 <= self.b <= self.s and self.n <= self.q * self.b, "the input does not fit", self.q, "machines of", self.b)
        need(all(0 <= word < 1 << shape["input_bits"] for word in self.input), "an input word is too wide")
        need([line["round"] for line in lines] == list(range(1, self.rounds + 1)), "the rounds are not 1 to", self.rounds)
        self.sent, most_sent, most_received = {}, 0, 0
        for r, line in enumerate(lines, 1):
            need(len(line["sent"]) == self.q, "round", r, "is of", len(line["sent"]), "machines")
            self.sent[r] = [pairs(flat) for flat in line["sent"]]
            received, last = collections.Counter(), r == self.rounds
            for to, word in itertools.chain(*self.sent[r]):
                need(type(to) is int and 0 <= to < (self.outputs if last else self.q), "round", r, "sends to", to)
                need(type(word) is int and 0 <= word < 1 << shape["word_bits"], "round", r, "sends", word)
                received[to // self.b if last else to] += 1
            most_sent = max(most_sent, *map(len, self.sent[r]))
            most_received = max(most_received, *received.values(), 0)
            need(max(most_sent, most_received) <= self.s, "round", r, "sends", most_sent, "words from a machine or",
                 most_received, "to one; s is", self.s)
        delivered = sorted(itertools.chain(*self.sent[self.rounds]))
        need(delivered == list(enumerate(self.output_words)), "the last round does not deliver each output once, as listed")
        total = sum(len(words) for machines in self.sent.values() for words in machines)
        same({key: claims[key] for key in ("max_words_sent", "max_words_received", "total_words")},
             {"max_words_sent": most_sent, "max_words_received": most_received, "total_words": total}, "claimed")

    def inbox(self, r):
        """Of each machine: [(source, sequence, word), ..] of round r < R."""
        inbox = collections.defaultdict(list)
        for source, words in enumerate(self.sent[r]):
            for sequence, (to, word) in enumerate(words):
                inbox[to].append((source, sequence, word))
        return inbox

class Layers:
    """The lines of the layers, whose Q, K, V are compared with what they must be, and averages recomputed."""

    def __init__(self, ids, lines, tokens, count, defaults):
        """`count` ids are needed, defaults = (null query, null key)."""
        self.lines, self.tokens, self.defaults = lines, tokens, defaults
        vectors, codes = ids["ids"], ids["codes"]
        self.code, self.dimension = vectors if codes is None else codes, len(vectors[0])
        need(all(len(v) == self.dimension and set(v) <= set("+-") for v in vectors), "an id is no vector of signs")
        need(len(vectors) == len(set(vectors)) == len(set(self.code)) == len(self.code) == count,
             count, "ids are needed that differ, and their codes")

    def check(self, l, heads, value_dimension, row_dimension, queries, keys, values):
        """The averages of each head and the rows of layer l, in which head h must have queries(h), keys(h), values(h)."""
        line, sizes = self.lines[l], [heads, self.dimension, value_dimension, row_dimension]
        need(line["layer"] == l and line["sizes"] == sizes, "layer", l, "is", line["layer"], line["sizes"], "of", sizes)
        need((line["null_query"], line["null_key"]) == self.defaults, "layer", l, "has other null ids")
        need(len(line["heads"]) == heads, "layer", l, "lists", len(line["heads"]), "of", heads, "heads")
        q, k, averages = None, None, []
        for h, (q_runs, k_runs, v_rows, a_rows) in enumerate(line["heads"]):
            q, k = (before if runs is None else points_of(runs) for before, runs in ((q, q_runs), (k, k_runs)))
            need(q is not None and k is not None, "layer", l, "head", h, "has nothing before it")
            v, found = rows_of(v_rows), rows_of(a_rows)
            for what, now, expected in (("query", q, queries(h)), ("key", k, keys(h)), ("value", v, values(h))):
                same(now, expected, "layer", l, "head", h, what, "of token")
            same(found, self.attend(q, k, v), "layer", l, "head", h, "average of token")
            averages.append(found)
        return averages, rows_of(line["rows"])

    def attend(self, queries, keys, values):
        """Averages by token: a sum of integers and a count, each rounded once, divided once."""
        null_query, null_key = (self.code[symbol] for symbol in self.defaults)
        by_code = collections.defaultdict(list)
        for token, symbol in keys.items():
            by_code[self.code[symbol]].append(token)
        need(null_query not in by_code, "a token that asks for nothing finds a key")
        need(set(values) <= set(keys), "a value without a key")
        result, known = {}, {}
        for token, symbol in queries.items():
            if symbol not in known:
                matched, sums = by_code.get(self.code[symbol], []), collections.Counter()
                for column, number in itertools.chain(*(values.get(key, {}).items() for key in matched)):
                    need(number == int(number), "a value is no integer:", number)
                    sums[column] += int(number)
                count = len(matched) + (self.code[symbol] == null_key) * (self.tokens - len(keys))
                known[symbol] = {c: float(total) / float(count) for c, total in sums.items() if total}
            result[token] = known[symbol]
        return {token: average for token, average in result.items() if average}

    def gather(self, run, row_dimension):
        """Layer 0: machine i asks for id i and gets the words of its block, each in its column, over their number."""
        holders = -(-run.n // run.b)
        (averages,), rows = self.check(
            0, 1, run.b, row_dimension, lambda h: {i: i for i in range(holders)},
            lambda h: {t: t // run.b for t in range(run.n)}, lambda h: {t: {t % run.b: word} for t, word in enumerate(run.input) if word})
        for i in range(holders):
            block = run.input[i * run.b:(i + 1) * run.b]
            found = [round(averages.get(i, {}).get(j, 0) * len(block)) for j in range(len(block))]
            need(found == block, "machine", i, "decodes other words than its input's")
        return rows

class Code:
    """What a packet (source, word) writes: 2 columns of its own, or 4 at the points of a polynomial (cover-free)."""

    def __init__(self, q, s, dimension):
        self.points, self.width = 0, 2
        if dimension != 2 * q:
            self.width, best = 4, []
            for digits in range(1, max(1, (q - 1).bit_length()) + 1):
                points = (digits - 1) * (min(s, q) - 1) + 1
                prime = max(points, 2)
                while prime ** digits < q or any(prime % d == 0 for d in range(2, int(prime ** .5) + 1)):
                    prime += 1
                best.append((points * prime, digits, points, prime))
            self.points, self.prime = min(best)[2:]
            need(4 * self.points * self.prime == dimension, "no packet code has dimension", dimension)

    def encode(self, source, word):
        if not self.points:
            return nonzero([(2 * source, 1), (2 * source + 1, word)])
        row = []
        for x in range(self.points):
            value, power, rest = 0, 1, source
            while rest:
                value, power, rest = value + rest % self.prime * power, power * x, rest // self.prime
            at = 4 * (x * self.prime + value % self.prime)
            row += [(at, 1), (at + 1, source), (at + 2, source * source), (at + 3, word)]
        return nonzero(row)

    def decode(self, average):
        """[(source, word), ..] of the packets that were averaged, seen in nothing but the average."""
        occupied = {column // self.width: number for column, number in average.items() if column % self.width == 0}
        count, words = round(1 / min(occupied.values())), {}
        for slot, occupancy in occupied.items():
            if occupancy != 1 / count:
                continue
            mean, square, word = (count * average.get(self.width * slot + c, 0) for c in (1, 2, self.width - 1))
            source = round(mean) if self.points else slot
            one = abs(mean - source) < 2 ** -27 and abs(square - source ** 2) < 1 / 8
            need(one or not self.points, "a slot of several senders looks like one's")
            need(words.setdefault(source, round(word)) == round(word), "source", source, "has two words in a head")
        need(len(words) == count, "an average of", count, "packets shows", len(words))
        return words.items()

def check_direct(run, ids, lines):
    """Head h has each machine's word number h; packets of several senders meet in an average."""
    null_key, s, row_dimension = max(run.q, run.outputs), run.s, 2 * run.s + 3
    need(len(lines) == run.rounds + 1, "R + 1 =", run.rounds + 1, "layers are needed; there are", len(lines))
    layers = Layers(ids, lines, max(run.n, run.q, run.outputs), null_key + 3, (null_key + 1, null_key))
    dimension = lines[1]["sizes"][2]
    code = Code(run.q, s, dimension) if run.rounds > 1 else None
    rows = layers.gather(run, row_dimension)
    for r in range(1, run.rounds + 1):
        same(rows, {i: nonzero([e for h, (to, word) in enumerate(sent) for e in ((3 + 2 * h, 1 + to), (4 + 2 * h, word))])
                    for i, sent in enumerate(run.sent[r]) if sent}, "after layer", r - 1, "the row of token")
        key, value = [{} for h in range(s + 1)], [{} for h in range(s + 1)]
        for i, row in rows.items():
            for h in range(s):
                if 3 + 2 * h in row:
                    key[h][i], word = row[3 + 2 * h] - 1, row.get(4 + 2 * h, 0)
                    last = nonzero([(0, 1), (1, i), (2, i * i), (3, word)])
                    value[h][i] = code.encode(i, word) if r < run.rounds else last
        if r < run.rounds:
            own, inbox = {i: i for i in range(run.q)}, collections.defaultdict(list)
            averages, rows = layers.check(r, s, dimension, row_dimension, lambda h: own, key.__getitem__, value.__getitem__)
            for h, found in enumerate(averages):
                for i, average in found.items():
                    inbox[i] += [(source, h, word) for source, word in code.decode(average)]
            same({i: sorted(words) for i, words in inbox.items()}, run.inbox(r), "round", r, "inbox of machine")
    asked, warned = {t: t for t in range(run.outputs)}, {t: null_key + 2 for t in range(run.outputs)}
    averages, rows = layers.check(run.rounds, s + 1, 4, 6, lambda h: asked if h < s else warned,
                                  key.__getitem__, value.__getitem__)
    return [[found[t].get(3, 0) for found in averages if t in found] for t in asked], rows

def check_routed(run, ids, lines):
    """Words in slots (code, word), in bundles for partners that differ in one digit: to an intermediate, then home."""
    need(len(lines) > 2 and (len(lines) - 2) % (2 * run.rounds) == 0, "2 + 2 D R layers are needed; there are", len(lines))
    digits = (len(lines) - 2) // (2 * run.rounds)
    radix = [line["sizes"][0] for line in lines[1:1 + digits]]
    capacity = [(line["sizes"][2] - 1) // 2 for line in lines[1:1 + digits]]
    stride = [1, *itertools.accumulate(radix, lambda a, b: a * b)]
    nodes = stride[-1]
    need(nodes >= run.q, nodes, "nodes for", run.q, "machines")
    layers = Layers(ids, lines, max(run.n, nodes, run.outputs), nodes + 2, (nodes + 1, nodes))

    def slots(row, first):
        """[(source, sequence, destination, word), ..]: codes are at columns first, first + 2, .."""
        codes = {c: x for c, x in row.items() if c >= first and (c - first) % 2 == 0}
        need(all(c in codes or c - 1 in codes for c in row), "a row has a number beside its slots")
        found = ((*divmod(int(x) - 1, max(nodes, run.outputs)), row.get(c + 1, 0)) for c, x in codes.items())
        return sorted((number % run.q, number // run.q, to, word) for number, to, word in found)

    def sent(r):
        return {i: [(i, n, *w) for n, w in enumerate(out)] for i, out in enumerate(run.sent[r]) if out}

    rows, own = layers.gather(run, 4 + 2 * radix[0] * capacity[0]), {u: u for u in range(nodes)}
    same({u: slots(row, 4) for u, row in rows.items()}, sent(1), "round 1, in the row of token")
    for l in range(1, len(lines) - 1):
        t, r, after, last = (l - 1) % digits, (l - 1) // (2 * digits) + 1, l % digits, l % (2 * digits) == 0
        k, bundle, value = radix[t], 2 * capacity[t], [{} for h in range(radix[t])]
        for u, row in rows.items():
            for column, number in row.items():
                value[(column - 4) // bundle].setdefault(u, {})[(column - 4) % bundle] = number
        ask = [{u: u + stride[t] * ((u // stride[t] - h) % k - u // stride[t] % k) for u in own} for h in range(k)]
        averages, rows = layers.check(
            l, k, bundle + 1, 4 + 2 * (run.b if last and r == run.rounds else radix[after] * capacity[after]),
            ask.__getitem__, lambda h: own, value.__getitem__)
        arrived = collections.defaultdict(list)
        for u, average in itertools.chain(*(found.items() for found in averages)):
            arrived[u] = sorted(arrived[u] + slots(average, 0))
        found = {} if last and r == run.rounds else {u: slots(row, 4) for u, row in rows.items()}
        if not last:
            same(found, arrived, "layer", l, "words of token")
            continue
        home = collections.defaultdict(list)
        for i, n, to, word in itertools.chain(*sent(r).values()):
            home[to // run.b if r == run.rounds else to].append((i, n, to, word))
        same(arrived, home, "round", r, "inbox of machine")
        if r < run.rounds:
            same(found, sent(r + 1), "round", r + 1, "in the row of token")
    same(rows, {u: nonzero([(4 + to % run.b * 2 + c, x) for *_, to, word in words for c, x in ((0, 1), (1, word))])
                for u, words in arrived.items()}, "after the last round the row of token")
    value = {u: {c - 4: x for c, x in row.items()} for u, row in rows.items()}
    asked = {t: t // run.b for t in range(run.outputs)}
    (found,), rows = layers.check(len(lines) - 1, 1, 2 * run.b + 1, 6, lambda h: asked,
                                  lambda h: {u: u for u in range(run.q)}, lambda h: value)
    return [[found[t].get(t % run.b * 2 + 1, 0)] * (found[t].get(t % run.b * 2) == 1) for t in asked if t in found], rows

signed = lambda x: (x + 2 ** 47) % 2 ** 48 - 2 ** 47

def scan(x, o, starts=()):
    op, result = {"min": min, "max": max, "sum": lambda a, b: signed(a + b)}[o.get("op", "sum")], []
    for i, value in enumerate(x):
        result.append(value if i == 0 or i in starts else op(result[-1], value))
    return result

def k_hop(x, o):
    last, step, found = {}, {None: None}, list(range(len(x)))
    for i, value in enumerate(x):
        step[i], last[value] = last.get(value), i + 1
    for _ in range(int(o.get("k", 2))):
        found = [step[i] for i in found]
    return [None if i is None else x[i] for i in found]

def list_ranking(x, _):
    rank = {-1: -1}
    for _ in x:
        rank.update((i, rank[after] + 1) for i, after in enumerate(x) if after in rank)
    return [rank.get(i) for i in range(len(x))]

def components(x, _):
    least, before = {v: v for v in x}, None
    while before != least:
        before = dict(least)
        for u, v in zip(x[0::2], x[1::2]):
            least[u] = least[v] = min(least[u], least[v])
    return [least.get(v) for v in range(len(x))]

def cycles(x, _):
    return [len(set(components(x, _)) - {None}) if set(collections.Counter(x).values()) == {2} else None]

def matrix_product(x, o):
    half = len(x) // 2
    g = int(o.get("rows", max(d for d in range(1, half + 1) if half % d == 0 and d * d <= half)))
    a, b = [x[i:i + half // g] for i in range(0, half, half // g)], [x[half + j::g] for j in range(g)]
    return [signed(sum(u * v for u, v in zip(row, column))) for row in a for column in b]

def three_sum(x, _):
    have = collections.Counter(x)
    for triple in ((a, b, -a - b) for a, b in itertools.combinations_with_replacement(sorted(have), 2) if -a - b >= b):
        if not collections.Counter(triple) - have:
            return [[i for i, w in enumerate(x, 1) if w == v][triple[:at].count(v)] for at, v in enumerate(triple)]
    return [None] * 3

def low_rank_sums(x, o):
    r, d = int(o.get("rank", 4)), int(o.get("dim", 8))
    rows = [x[i:i + 2 * r + d] + [1] for i in range(0, len(x), 2 * r + d)]
    state = [[sum(row[r + c] * row[2 * r + j] for row in rows) for j in range(d + 1)] for c in range(r)]
    return [signed(sum(row[c] * state[c][j] for c in range(r))) for row in rows for j in range(d + 1)]

def sort(x, o):
    size = int(o.get("record", 1))
    return list(itertools.chain(*sorted((x[i:i + size] for i in range(0, len(x), size)), key=lambda record: record[0])))

ANSWERS = {
    "broadcast": lambda x, o: [x[0]] * len(x), "reduce": lambda x, o: scan(x, o)[-1:], "prefix_scan": scan,
    "segmented_scan": lambda x, o: scan(x[1::2], o, {i for i, flag in enumerate(x[0::2]) if flag}),
    "sum": lambda x, o: [signed(sum(x))], "sort": sort, "odd_even_sort": sort, "k_hop": k_hop, "k_hop_walk": k_hop,
    "list_ranking": list_ranking, "word_count": lambda x, o: [x.count(t) for t in range(len(x))],
    "match2": lambda x, o: [int(-v % int(o.get("M", 37)) in {w % int(o.get("M", 37)) for w in x}) for v in x],
    "join": lambda x, o: [x[v] if 0 <= v < len(x) else None for v in x], "one_or_two_cycles": cycles, "three_sum": three_sum,
    "components": components, "components_by_coins": components, "matrix_product": matrix_product, "low_rank_sums": low_rank_sums}

# An output's value is its word less this, or less 2^(p - 1); of some protocols the word 0 is no value.
NONE = ("one_or_two_cycles", "three_sum", "components", "components_by_coins", "list_ranking", "join", "k_hop", "k_hop_walk")
OFFSET = dict.fromkeys(("one_or_two_cycles", "three_sum", "match2", "word_count"), 0) | dict.fromkeys(NONE[2:5], 1)

def check(lines):
    """What was found of a certificate, in a line; Rejected if it is not what it says."""
    head, ids, *rest = (json.loads(line) for line in lines)
    need(head["schema"] == "roundtrip/certificate/1", "the schema is", head["schema"])
    run = Run(head, rest[:head["shape"]["rounds"]])
    lines = rest[run.rounds:]
    outputs, rows = {"direct": check_direct, "routed": check_routed}[head["construction"]](run, ids, lines)
    need(outputs == [[word] for word in run.output_words], "the outputs that are decoded are not the run's")
    same(rows, {t: nonzero([(0, 1), (1, word)]) for t, word in enumerate(run.output_words)}, "the last row of token")
    sizes = [line["sizes"] for line in lines]
    same({k: v for k, v in head["claims"].items() if "words" not in k},
         {"depth": len(lines), "heads": max(z[0] for z in sizes), "embedding_dim": max(2, *(z[3] for z in sizes)),
          "width": max(z[0] * max(z[1], z[2]) for z in sizes),
          "tokens": max(run.n, run.outputs, run.q if head["construction"] == "direct" else len(ids["ids"]) - 2)}, "claimed")
    protocol, half = head["protocol"], 1 << head["shape"]["input_bits"] - 1
    if protocol in ANSWERS:
        answers = ANSWERS[protocol]([word - half for word in run.input], head["options"])
        need(head["values"] == answers, "the values are not the answers of", protocol)
        less = OFFSET.get(protocol, half) + (protocol in ("join", "k_hop", "k_hop_walk"))
        values = [None if word == 0 and protocol in NONE else word - less for word in run.output_words]
        need(values == answers, "the outputs are not the answers of", protocol)
    return (f"accepted: {protocol} ({head['construction']}), N = {run.n}, R = {run.rounds}, L = {len(lines)}, "
            f"H m = {head['claims']['width']}, {head['claims']['total_words']} words; answers "
            + ("recomputed" if protocol in ANSWERS else "not looked at: no algorithm here"))

def main(paths):
    status = 0 if paths else 2
    print("trusted: the protocol's step, ANNA's codes, that nothing is kept beside messages and rows, this checker")
    for path in paths:
        try:
            data = pathlib.Path(path).read_bytes()
            lines = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode().splitlines()
            print(f"{path}: {check(lines)}")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            status = 2
            print(f"{path}: cannot be read: {error}")
        except (Rejected, LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
            status = max(status, 1)
            print(f"{path}: rejected: {error if isinstance(error, Rejected) else f'malformed, {error!r}'}")
    return status

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
