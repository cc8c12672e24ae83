#include "roundtrip/proofs_check/evaluation.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/proofs_check/reference_attention.h"

namespace roundtrip::proofs_check {
namespace {

constexpr std::uint32_t kFarColumn = 4'000'000;

/// Passes everything on to a layer; the mutants below change one thing each.
class Wrapped : public anna::Layer {
 public:
  explicit Wrapped(std::shared_ptr<const anna::Layer> inner) : inner_(std::move(inner)) {}
  anna::LayerShape shape() const override { return inner_->shape(); }
  const anna::Codebook& codebook() const override { return inner_->codebook(); }
  anna::Symbol null_query() const override { return inner_->null_query(); }
  anna::Symbol null_key() const override { return inner_->null_key(); }
  void project(const anna::RowView& row, anna::Projection& out) const override { inner_->project(row, out); }
  void update(const anna::RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    inner_->update(row, heads, out);
  }

 protected:
  std::shared_ptr<const anna::Layer> inner_;
};

class Padded final : public Wrapped {
 public:
  Padded(std::shared_ptr<const anna::Layer> inner, const Padding& padding)
      : Wrapped(std::move(inner)), padding_(padding) {}
  anna::LayerShape shape() const override {
    anna::LayerShape shape = inner_->shape();
    shape.heads += padding_.heads;
    shape.value_dimension += padding_.dimension;
    shape.output_dimension += padding_.row_dimension;
    return shape;
  }

 private:
  Padding padding_;
};

class Idle final : public Wrapped {
 public:
  using Wrapped::Wrapped;
  void project(const anna::RowView&, anna::Projection&) const override {}
  void update(const anna::RowView& row, const anna::HeadOutputs&, anna::RowWriter& out) const override {
    for (const anna::Entry& entry : row.entries) out.set(entry.column, entry.value);
  }
};

/// Keeps a number in a column that its rows should not have; the layers after it never read it.
class WideRows final : public Wrapped {
 public:
  using Wrapped::Wrapped;
  anna::LayerShape shape() const override {
    anna::LayerShape shape = inner_->shape();
    shape.output_dimension = kFarColumn + 1;
    return shape;
  }
  void project(const anna::RowView& row, anna::Projection& out) const override {
    inner_->project(narrow(row), out);
  }
  void update(const anna::RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    inner_->update(narrow(row), heads, out);
    if (row.token == 0) out.set(kFarColumn, 1);
  }

 private:
  static anna::RowView narrow(anna::RowView row) {
    if (!row.entries.empty() && row.entries.back().column == kFarColumn)
      row.entries = row.entries.first(row.entries.size() - 1);
    return row;
  }
};

/// Keeps its rows in a table of the process, as if the array had passed them on.
class Remembering final : public Wrapped {
 public:
  Remembering(std::shared_ptr<const anna::Layer> inner, std::size_t number, std::size_t depth)
      : Wrapped(std::move(inner)), number_(number), last_(number + 1 == depth) {}
  void project(const anna::RowView& row, anna::Projection& out) const override {
    inner_->project(remembered(row), out);
  }
  void update(const anna::RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    if (last_) return inner_->update(remembered(row), heads, out);
    anna::RowWriter written;
    inner_->update(remembered(row), heads, written);
    std::vector<anna::Entry>& kept = rows()[{number_, row.token}];
    kept.assign(written.entries().begin(), written.entries().end());
    std::erase_if(kept, [](const anna::Entry& entry) { return entry.value == 0; });
  }

 private:
  using Rows = std::map<std::pair<std::size_t, std::uint64_t>, std::vector<anna::Entry>>;
  static Rows& rows() {
    static Rows rows;
    return rows;
  }
  anna::RowView remembered(const anna::RowView& row) const {
    return number_ == 0 ? row : anna::RowView{row.token, rows()[{number_ - 1, row.token}]};
  }
  std::size_t number_;
  bool last_;
};

anna::Activations input_array(const Network& network, const std::vector<mpc::Word>& input) {
  anna::Activations array = anna::Activations::with_dimension(network.input_dimension);
  for (std::uint64_t t = 0; t < network.tokens; ++t) {
    if (t >= input.size()) {
      array.append_row({});
    } else {
      array.append_row(std::vector<anna::Entry>{{0, 1.0}, {1, static_cast<double>(input[t])}});
    }
  }
  return array;
}

void read_outputs(const anna::Activations& array, const Instance& instance, Evaluation& result) {
  for (std::uint64_t t = 0; t < instance.outputs; ++t) {
    if (t >= array.tokens()) {
      ++result.flagged;
      continue;
    }
    const anna::RowView row = array.row(t);
    if (row[0] != 1 || row[2] != 0) {
      ++result.flagged;
    } else {
      result.wrong += !instance.right(t, static_cast<mpc::Word>(row[1])) && !seeded("blind-outputs");
    }
  }
}

/// The columns that the rows use.
std::uint64_t columns_used(const anna::Activations& array) {
  std::uint64_t most = 0;
  for (std::uint64_t t = 0; t < array.tokens(); ++t) {
    const auto entries = array.row(t).entries;
    if (!entries.empty()) most = std::max(most, entries.back().column + std::uint64_t{1});
  }
  return most;
}

void note_shape(const anna::LayerShape& shape, const Meter::Used& used, Evaluation& result) {
  const std::uint64_t heads = std::max<std::uint64_t>(shape.heads, used.heads);
  const std::uint64_t dimension =
      std::max({std::uint64_t{shape.query_dimension}, std::uint64_t{shape.value_dimension}, used.dimension});
  result.heads = std::max(result.heads, heads);
  result.dimension = std::max(result.dimension, dimension);
  result.width = std::max(result.width, heads * dimension);
  result.row_dimension = std::max<std::uint64_t>(result.row_dimension, shape.output_dimension);
}

/// Projections that go nowhere.
class Unheard final : public anna::Projection {
 public:
  void query(std::uint32_t, anna::Symbol) override {}
  void key(std::uint32_t, anna::Symbol) override {}
  anna::Symbol intern(std::span<const std::int32_t>) override { return 0; }
  void value(std::uint32_t, std::uint32_t, double) override {}
};

// An array between processes: dimension, tokens, then each row's number of entries and the entries.
void write_array(const anna::Activations& array, std::FILE* file) {
  const auto put = [&](const void* data, std::size_t bytes) {
    if (std::fwrite(data, 1, bytes, file) != bytes) _exit(1);
  };
  const std::uint64_t head[2] = {array.dimension(), array.tokens()};
  put(head, sizeof head);
  for (std::uint64_t t = 0; t < array.tokens(); ++t) {
    const auto entries = array.row(t).entries;
    const std::uint64_t count = entries.size();
    put(&count, sizeof count);
    put(entries.data(), entries.size_bytes());
  }
  if (std::fflush(file) != 0) _exit(1);
}

anna::Activations read_array(std::FILE* file) {
  const auto get = [&](void* data, std::size_t bytes) {
    if (std::fread(data, 1, bytes, file) != bytes) throw InternalError("a layer's process wrote too little");
  };
  std::uint64_t head[2];
  get(head, sizeof head);
  auto array = anna::Activations::with_dimension(static_cast<std::uint32_t>(head[0]));
  std::vector<anna::Entry> entries;
  for (std::uint64_t t = 0; t < head[1]; ++t) {
    std::uint64_t count = 0;
    get(&count, sizeof count);
    entries.resize(count);
    get(entries.data(), count * sizeof(anna::Entry));
    array.append_row(entries);
  }
  return array;
}

}  // namespace

Network mutated(const anna::Transformer& transformer, const NetworkMutant& mutant) {
  Network network{transformer.layers, transformer.tokens + mutant.extra_tokens, transformer.input_dimension};
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    auto& layer = network.layers[l];
    layer = std::make_shared<Padded>(layer, mutant.padding);
    if (mutant.wide_rows) layer = std::make_shared<WideRows>(layer);
    if (mutant.remembers) layer = std::make_shared<Remembering>(layer, l, network.layers.size());
  }
  for (std::uint32_t i = 0; i < mutant.extra_layers; ++i)
    network.layers.push_back(std::make_shared<Idle>(network.layers.back()));
  return network;
}

Instance mutated(const Instance& instance, const NetworkMutant& mutant) {
  if (!mutant.output_altered) return instance;
  return {instance.input, instance.outputs, [instance](std::uint64_t t, mpc::Word word) {
            return instance.right(t, t == instance.outputs / 2 ? word ^ 1 : word);
          }};
}

Evaluation evaluate_mutant(const anna::Transformer& transformer, const NetworkMutant& mutant,
                           anna::Attention& attention, std::span<const Instance> instances) {
  std::vector<Instance> altered;
  for (const Instance& instance : instances) altered.push_back(mutated(instance, mutant));
  return evaluate_measured(mutated(transformer, mutant), attention, altered);
}

Evaluation declared(const Network& network) {
  Evaluation result;
  result.depth = network.layers.size();
  result.row_dimension = network.input_dimension;
  for (const auto& layer : network.layers) note_shape(layer->shape(), {}, result);
  return result;
}

Evaluation evaluate_measured(const Network& network, anna::Attention& attention,
                             std::span<const Instance> instances) {
  std::vector<anna::Activations> arrays;
  for (const Instance& instance : instances) arrays.push_back(input_array(network, instance.input));
  Meter meter(attention);
  Evaluation result;
  result.row_dimension = network.input_dimension;
  for (const auto& layer : network.layers) {
    std::vector<anna::Activations> next;
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      // Between its projections and its updates the layer projects another instance: what goes from one to the other
      // by anything but attention is then that instance's.
      const anna::Activations& other = arrays[(i + 1) % arrays.size()];
      if (arrays.size() > 1) {
        meter.before_next([&] {
          Unheard unheard;
          for (std::uint64_t t = 0; t < other.tokens(); ++t) layer->project(other.row(t), unheard);
        });
      }
      next.push_back(anna::evaluate(*layer, meter, arrays[i]));
      note_shape(layer->shape(), meter.take(), result);
      result.row_dimension = std::max(result.row_dimension, columns_used(next[i]));
    }
    arrays = std::move(next);
    ++result.depth;
  }
  if (seeded("blind-sizes")) result.depth = result.heads = result.dimension = result.width = 0;
  if (seeded("blind-rows")) result.row_dimension = network.input_dimension;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    result.tokens = std::max(result.tokens, arrays[i].tokens());
    read_outputs(arrays[i], instances[i], result);
  }
  return result;
}

std::uint64_t wrong_in_own_processes(const Network& network, anna::Attention& attention,
                                     const Instance& instance) {
  anna::Activations array = input_array(network, instance.input);
  for (const auto& layer : network.layers) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
        fdopen(memfd_create("rows", MFD_CLOEXEC), "w+"), std::fclose);
    if (!file) throw InternalError("no file for a layer's rows");
    const pid_t child = fork();
    if (child < 0) throw InternalError("no process for a layer");
    if (child == 0) {
      try {
        write_array(anna::evaluate(*layer, attention, array), file.get());
      } catch (...) {
        _exit(1);
      }
      _exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      // A layer that fails on its own gives no output that is right.
      return instance.outputs;
    }
    std::rewind(file.get());
    array = read_array(file.get());
  }
  Evaluation result;
  read_outputs(array, instance, result);
  return result.wrong + result.flagged;
}

}  // namespace roundtrip::proofs_check
