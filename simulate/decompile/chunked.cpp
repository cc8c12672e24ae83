// A layer of chunked attention, in T_sort(N', w) + 2 rounds:
//   hash     1        each owner sends, for every hashing and head, its tokens' records (code, token, value) of w words
//   sort     T_sort   H n_h independent sorts; in the last round a record goes to every machine that has a token of its
//                     chunk or of the next one
//   return   1        each sorted place counts and adds up; sum and count go to the owner of its token
// The sort has half the memory, so that chunks can be on several machines.
//
// Its machines: the owners, then M_s sort machines for each (hashing, head).
#include "roundtrip/anna/attention/chunked.h"

#include <algorithm>

#include "roundtrip/base/fault.h"
#include "roundtrip/base/heap_meter.h"
#include "roundtrip/simulate/decompile/layer_run.h"
#include "roundtrip/simulate/decompile/sort_beside_blocks.h"

namespace roundtrip::simulate {
namespace {

using mpc::MachineId;
using mpc::Word;

constexpr DecompilePhase kHash{
    "hash",
    "Every token becomes one record for each hashing: code, token and value. Records go to the machines that "
    "sort them."};
constexpr DecompilePhase kSort{
    "sort",
    "The records are sorted by code, then token. They come to the machines of their own chunk and of the next."};
constexpr DecompilePhase kReturn{
    "return",
    "Each sorted record adds up the values of its code in its own chunk and the one before; the sum goes to its token."};

/// The z values of a code in words, the first function highest: codes are ordered as their words are.
class CodeWords {
 public:
  CodeWords(std::uint32_t functions, std::uint32_t bits, std::uint32_t word_bits)
      : functions_(functions), bits_(bits), per_word_(word_bits / bits) {}
  std::uint32_t words() const { return static_cast<std::uint32_t>(ceil_div(functions_, per_word_)); }
  template <typename ValueOf>
  void put(ValueOf&& value_of, std::span<Word> out) const {
    std::ranges::fill(out, 0);
    for (std::uint32_t f = 0; f < functions_; ++f)
      out[f / per_word_] |= value_of(f) << ((per_word_ - 1 - f % per_word_) * bits_);
  }

 private:
  std::uint32_t functions_, bits_, per_word_;
};

std::uint64_t record_words(const DecompiledLayer& sizes) {
  return std::uint64_t{sizes.code_words} + 1 + std::uint64_t{sizes.value_dimension} * sizes.value_words;
}

class ChunkedRun final : public LayerRun {
 public:
  explicit ChunkedRun(const LayerParts& parts)
      : LayerRun(parts), chunked_(*parts.mechanism.get_if<anna::Chunked>()) {
    const anna::FamilyParameters functions = chunked_.functions_of(layer_.shape().query_dimension);
    for (std::uint32_t hashing = 0; hashing < sizes_.tables; ++hashing)
      hashes_.push_back(anna::make_table(functions, hashing));
  }
  void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) override;
  void update(const Context& context, const VisitNext& visit) const override;

 private:
  std::uint64_t groups() const { return std::uint64_t{sizes_.tables} * sizes_.heads; }
  bool sorts(MachineId machine) const {
    return machine >= plan_.blocks && machine - plan_.blocks < groups() * sizes_.sort.machines;
  }
  /// Number of (hashing, head), H hashing + head, of a sort machine.
  std::uint64_t group_of(MachineId machine) const { return (machine - plan_.blocks) / sizes_.sort.machines; }
  MachineId sort_machine(std::uint64_t group, std::uint64_t position) const {
    return static_cast<MachineId>(plan_.blocks + group * sizes_.sort.machines +
                                  position / sizes_.sort.machine_records);
  }
  /// The sorted places whose records the query of a place may weigh.
  struct Places {
    std::uint64_t first, last;
  };
  Places places_of(std::uint64_t position) const {
    const std::uint64_t number = position / sizes_.chunk;
    return {(number - std::min<std::uint64_t>(number, 1)) * sizes_.chunk,
            std::min(plan_.tokens, (number + 1) * sizes_.chunk)};
  }
  std::uint32_t count_bits() const {  // of a count by one hashing: at most two chunks
    return 1 + ceil_log(2, 2 * std::min(sizes_.chunk, plan_.tokens));
  }
  void send_records(const Context& context) const;
  void return_sums(const Context& context, const mpc::Sort& sorted) const;

  const anna::Chunked chunked_;
  std::vector<std::unique_ptr<const anna::TableHash>> hashes_;
};

void ChunkedRun::send_records(const Context& context) const {
  if (!owner(context.machine)) return;
  const std::span<const Word> rows = new_rows(context);
  context.out.send(context.machine, rows);
  TokenHeads token(context, layer_);
  const std::span<std::int32_t> buffer = take<std::int32_t>(context, layer_.shape().query_dimension);
  const std::span<Word> record = context.take(record_words(sizes_));
  const NumberCodec& number = value_.number();
  for_each_row(context, context.machine, rows, [&](std::uint64_t, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const Numbers query = vector_of(token, h, true, buffer);
      std::ranges::fill(record, 0);
      record[sizes_.code_words] = row.token;
      for (const Entry& entry : token.value(h)) {
        number.put(static_cast<WideInteger>(entry.value),
                   &record[sizes_.code_words + 1 + std::uint64_t{entry.column} * number.words()]);
      }
      for (std::uint32_t hashing = 0; hashing < sizes_.tables; ++hashing) {
        const anna::TableHash& hash = *hashes_[hashing];
        {
          const HeapPause models;  // what a model's hash functions take is not the protocol's
          CodeWords(hash.functions(), hash.function_bits(), plan_.word_bits)
              .put([&](std::uint32_t f) { return hash.value(f, query); }, record.first(sizes_.code_words));
        }
        context.out.send(sort_machine(std::uint64_t{hashing} * sizes_.heads + h, row.token), record);
      }
    }
  });
}

void ChunkedRun::return_sums(const Context& context, const mpc::Sort& sorted) const {
  if (owner(context.machine)) return context.out.send(context.machine, context.inbox.words());
  if (!sorts(context.machine)) return;
  const std::uint64_t width = record_words(sizes_), codes = sizes_.code_words;
  const std::uint64_t own =
      (context.machine - plan_.blocks) % sizes_.sort.machines * sizes_.sort.machine_records;
  const std::uint64_t end = std::min(plan_.tokens, own + sizes_.sort.machine_records);
  const std::uint64_t first = places_of(own).first, last = places_of(end - 1).last;
  const std::span<const Word> records =
      sizes_.sort.rounds == 0 ? sorted.result(context) : context.inbox.words();
  mpc::expect_received(records.size() == (last - first) * width);
  const auto record_at = [&](std::uint64_t place) { return records.subspan((place - first) * width, width); };
  const std::span<WideInteger> totals = take<WideInteger>(context, sizes_.value_dimension);
  const NumberCodec &number = value_.number(), &sum = sum_.number();
  const std::span<Word> sums = context.take(sum_.numbers()), message = context.take(1 + sum_.most_words());
  for (std::uint64_t place = own; place < end; ++place) {
    const std::span<const Word> record = record_at(place);
    const std::uint64_t token = record[codes];
    mpc::expect_received(token < plan_.tokens);
    Word count = 0;
    std::ranges::fill(totals, 0);
    const Places seen = places_of(place);
    for (std::uint64_t other = seeded("previous-chunk-unseen") ? place / sizes_.chunk * sizes_.chunk
                                                               : seen.first;
         other < (chunked_.masked ? place + 1 : seen.last); ++other) {
      const std::span<const Word> key = record_at(other);
      if (!std::ranges::equal(key.first(codes), record.first(codes))) continue;
      ++count;
      for (std::size_t c = 0; c < totals.size(); ++c)
        totals[c] += number.get(&key[codes + 1 + c * number.words()]);
    }
    for (std::size_t c = 0; c < totals.size(); ++c) sum.put(totals[c], &sums[c * sum.words()]);
    const std::uint64_t block = token / plan_.block_tokens;
    message[0] = (token - first_token(block)) << count_bits() | count;
    context.out.send(copy(0, block), message.first(1 + sum_.put_numbers(sums.data(), &message[1])));
  }
}

void ChunkedRun::append_passes(Decompiled& protocol, std::uint64_t scratch) {
  protocol.then(id(kHash), 1, scratch + record_words(sizes_),
                [this](const Context& context, std::uint32_t) { send_records(context); });
  const SortBesideBlocks& sorted = protocol.then<SortBesideBlocks>(
      id(kSort),
      {.sort = {.plan = sizes_.sort,
                .load =
                    [](const Context& context, std::uint64_t, std::span<Word> records) {
                      mpc::expect_received(context.inbox.words().size() == records.size());
                      std::ranges::copy(context.inbox.words(), records.begin());
                    },
                .place =
                    [this](const Context& context, std::uint64_t position, std::span<const Word> record) {
                      // Places of its own chunk and of the next one weigh it.
                      const std::uint64_t group = group_of(context.machine);
                      const std::uint64_t begin = position / sizes_.chunk * sizes_.chunk;
                      const std::uint64_t end = std::min(plan_.tokens, begin + 2 * sizes_.chunk);
                      for (MachineId at = sort_machine(group, begin); at <= sort_machine(group, end - 1);
                           ++at)
                        context.out.send(at, record);
                    },
                .first = static_cast<MachineId>(plan_.blocks),
                .instances = static_cast<std::uint32_t>(groups())},
       .keepers = static_cast<MachineId>(plan_.blocks)});
  protocol.then(
      id(kReturn), 1, scratch + 3 * sizes_.value_dimension + sum_.numbers() + sum_.most_words() + 2,
      [this, &sorted](const Context& context, std::uint32_t) { return_sums(context, sorted.sort()); });
}

void ChunkedRun::update(const Context& context, const VisitNext& visit) const {
  const std::uint64_t block = context.machine, cells = block_size(block) * sizes_.heads;
  const std::span<Word> counts = context.take(cells), sums = context.take(cells * sum_.numbers());
  std::ranges::fill(counts, 0);
  std::ranges::fill(sums, 0);
  for (const mpc::Run received : context.inbox) {
    if (received.source == context.machine) continue;
    mpc::expect_received(sorts(received.source));
    const std::uint64_t head = group_of(received.source) % sizes_.heads;
    for (std::uint64_t at = 0; at < received.words.size();) {
      const Word packed = received.words[at++];
      const std::uint64_t cell = (packed >> count_bits()) * sizes_.heads + head;
      mpc::expect_received(cell < cells);
      counts[cell] += packed & ((Word{1} << count_bits()) - 1);
      at += sum_.read(received.words.subspan(at), [&](std::uint32_t column, const Word* number) {
        sum_.number().add(&sums[cell * sum_.numbers() + std::uint64_t{column} * sum_.number().words()],
                          number);
      });
    }
  }
  TokenOutputs outputs(context, layer_.shape());
  anna::RowWriter writer;
  for_each_row(context, block, context.from(block), [&](std::uint64_t i, const anna::RowView& row) {
    outputs.clear();
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const std::uint64_t cell = i * sizes_.heads + h;
      mpc::expect_received(counts[cell] > 0);  // a token weighs itself
      for (std::uint32_t c = 0; c < sizes_.value_dimension; ++c) {
        const WideInteger sum =
            sum_.number().get(&sums[cell * sum_.numbers() + std::uint64_t{c} * sum_.number().words()]);
        // Both rounded once, then divided once.
        if (sum != 0) outputs.add(h, c, static_cast<double>(sum) / static_cast<double>(counts[cell]));
      }
    }
    update_row(layer_, row, outputs, writer);
    visit(row.token, writer.entries());
  });
}

std::uint32_t measure(const anna::Layer& layer, const anna::Mechanism& mechanism, std::uint32_t word_bits,
                      DecompiledLayer& sizes) {
  const auto& chunked = *mechanism.get_if<anna::Chunked>();
  const auto hash = anna::make_table(chunked.functions_of(layer.shape().query_dimension), 0);
  sizes.tables = chunked.hashings;
  sizes.chunk = chunked.chunk;
  sizes.code_words = CodeWords(hash->functions(), hash->function_bits(), word_bits).words();
  return ceil_log(2, chunked.hashings);
}

void count_words(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t) {
  const std::uint64_t row = sizes.most_row_words();
  const std::uint64_t sum = 1 + std::uint64_t{sizes.value_dimension} * sizes.sum_words;
  const std::uint64_t groups = std::uint64_t{sizes.tables} * sizes.heads;
  sizes.state_words = row + sizes.heads * (1 + sum);
  sizes.token_words = std::max({row + groups * record_words(sizes),  // hashed
                                row + groups * (1 + sum), next_row});
}

bool fit(const DecompilePlan& plan, DecompiledLayer& sizes) {
  const std::uint64_t width = record_words(sizes), half = plan.memory_words / 2;
  const std::uint64_t sum = 1 + std::uint64_t{sizes.value_dimension} * sizes.sum_words;
  const auto sort = mpc::plan_sort({.records = plan.tokens,
                                    .record_words = width,
                                    .memory_words = half,
                                    .key_words = std::uint64_t{sizes.code_words} + 1,
                                    .distinct_keys = true,
                                    .machine_records = plan.memory_words / (1 + sum)});
  if (!sort) return false;
  sizes.sort = *sort;
  // In the sort's last round a machine has fewer than 2 B_s records, which touch at most 3 machines' places. Each of
  // these boundaries sends at most 3 chunks twice; at a machine 3 chunks beside its own places arrive.
  return sort->machines == 1 || 9 * sizes.chunk * width <= half;
}

std::vector<Pass> passes(const DecompilePlan& plan, std::size_t l) {
  const DecompiledLayer& layer = plan.layers[l];
  return {{std::string(kHash.id), fmt::format("1 round: {} records of {} words a hashing and head",
                                              plan.tokens, record_words(layer))},
          {std::string(kSort.id),
           fmt::format("T_sort = {} rounds, H n_h = {} sorts on M_s = {} machines each, chunks of {}",
                       layer.sort.rounds, std::uint64_t{layer.heads} * layer.tables, layer.sort.machines,
                       layer.chunk)},
          {std::string(kReturn.id),
           fmt::format("1 round: sum and count to each token; {} machines, {} rounds in all",
                       plan.layer_machines(l), layer.rounds())}};
}

}  // namespace

const LayerDecompiler& chunked_decompiler() {
  static const LayerDecompiler decompiler{
      .rounds_formula = "(T_sort(N', w) + 2)",
      .phases = {kHash, kSort, kReturn},
      .average = "average of the values near it in the order of codes, that have its code",
      .introduction =
          "In a layer of chunked attention tokens are sorted by hash code and cut into chunks. A token sees those of "
          "its code in its own chunk and the one before, and no others.",
      .measure = measure,
      .count_words = count_words,
      .fit = fit,
      .rounds = [](const DecompiledLayer& sizes) { return sizes.sort.rounds + 2; },
      .machines =
          [](const DecompilePlan& plan, const DecompiledLayer& sizes) {
            return std::vector<MachineGroup>{
                {"owners", plan.blocks},
                {"sort machines", std::uint64_t{sizes.tables} * sizes.heads * sizes.sort.machines}};
          },
      .passes = passes,
      .make = [](const LayerParts& parts) -> std::unique_ptr<LayerRun> {
        return std::make_unique<ChunkedRun>(parts);
      }};
  return decompiler;
}

}  // namespace roundtrip::simulate
