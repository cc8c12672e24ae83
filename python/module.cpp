// Purpose: the Python module's core, roundtrip._core: the library's facades on numbers, dictionaries and numpy arrays.
// What users see (classes, results, errors) is python/roundtrip/*.py. Importing starts nothing; MPI starts with the
// first run of a process that a launcher started.
#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/dense/attend.h"
#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/heap_meter.h"
#include "roundtrip/base/random.h"
#include "roundtrip/explain/page.h"
#include "roundtrip/explain/trace.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/map_reduce.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/proofs_check/report/report.h"
#include "roundtrip/proofs_check/verify.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/export.h"
#include "roundtrip/simulate/decompile/decompile.h"

namespace py = pybind11;

namespace roundtrip::python {
namespace {

using Integers = py::array_t<std::int64_t, py::array::c_style>;

constexpr std::uint32_t kBits = 48;
constexpr std::uint32_t kInputBits = 47;  // of an input word, so that none is kNone
constexpr std::int64_t kOffset = std::int64_t{1} << (kInputBits - 1);
constexpr std::int64_t kMost = (std::int64_t{1} << kInputBits) - 1;
constexpr mpc::Word kNone = (mpc::Word{1} << kBits) - 1;  // an output that is absent

// ---- Python objects in C++ closures: copied and dropped without the interpreter's lock, and left alone once it ended.

using Held = std::shared_ptr<py::object>;
Held hold(py::object object) {
  return {new py::object(std::move(object)), [](py::object* held) {
            if (Py_IsInitialized() == 0) return;
            const py::gil_scoped_acquire lock;
            delete held;
          }};
}

/// What Python raised in a step or a map; Python's own error is its cause there.
class PythonError final : public Error {
 public:
  using Error::Error;
};
Held last_raised;

/// "ValueError: no such word (count.py, line 7)": the innermost line of the traceback.
std::string describe(py::error_already_set& error) {
  std::string text = py::str(error.type().attr("__name__"));
  if (const std::string message = py::str(error.value()); !message.empty()) text += ": " + message;
  py::object trace = error.trace();
  if (trace && !trace.is_none()) {
    while (!trace.attr("tb_next").is_none()) trace = trace.attr("tb_next");
    const std::string file = py::str(trace.attr("tb_frame").attr("f_code").attr("co_filename"));
    text +=
        fmt::format(" ({}, line {})", file.substr(file.rfind('/') + 1), trace.attr("tb_lineno").cast<int>());
  }
  last_raised = hold(error.value());
  return text;
}

/// Calls `work` with the lock; what Python raises becomes one line. What calling it takes from the heap is no step's.
template <typename Work>
auto in_python(const Work& work) {
  const py::gil_scoped_acquire lock;
  const HeapPause conversions;
  try {
    return work();
  } catch (py::error_already_set& error) {
    throw PythonError(describe(error));
  } catch (const py::cast_error& error) {
    throw PythonError(error.what());
  }
}

// ---- Numbers and words.

mpc::Word word_of(std::int64_t number) {
  if (number < -kOffset || number > kMost)
    throw Error(
        fmt::format("the number {} does not fit a word, allowed is {} to {}", number, -kOffset, kMost));
  return static_cast<mpc::Word>(number + kOffset);
}

Integers numbers_of(std::span<const mpc::Word> words) {
  Integers numbers(static_cast<py::ssize_t>(words.size()));
  std::int64_t* const out = numbers.mutable_data();
  for (std::size_t i = 0; i < words.size(); ++i) out[i] = static_cast<std::int64_t>(words[i]) - kOffset;
  return numbers;
}

/// Of a sequence or array; numbers that are not integers are refused, not rounded.
Integers integers_of(const py::handle& object) {
  if (py::isinstance<Integers>(object)) return py::reinterpret_borrow<Integers>(object);
  const py::array any = py::array::ensure(object);
  const char kind = any ? any.dtype().kind() : 'O';
  if (kind != 'i' && kind != 'u' && kind != 'b' && !(any && any.size() == 0))
    throw Error(
        fmt::format("the numbers of a message are {}, allowed are integers", std::string(py::repr(object))));
  const py::array_t<std::int64_t, py::array::c_style | py::array::forcecast> cast(any);
  return py::reinterpret_borrow<Integers>(cast);
}

/// Calls each(word) for an integer, None (if `absent`) or a sequence of integers.
template <typename Each>
void for_each_word(const py::handle& object, bool absent, const Each& each) {
  if (PyLong_CheckExact(object.ptr()) != 0) {
    int overflow = 0;
    const std::int64_t number = PyLong_AsLongLongAndOverflow(object.ptr(), &overflow);
    return each(word_of(overflow == 0 ? number : overflow < 0 ? INT64_MIN : INT64_MAX));
  }
  if (object.is_none() && absent) return each(kNone);
  const Integers numbers = integers_of(object);
  const std::int64_t* const data = numbers.data();
  for (py::ssize_t i = 0; i < numbers.size(); ++i) each(word_of(data[i]));
}

/// A record: an int if it has one number, else a tuple.
py::object record_object(mpc::Record record) {
  if (record.size() == 1) return py::int_(record[0]);
  py::tuple tuple(record.size());
  for (std::size_t i = 0; i < record.size(); ++i) tuple[i] = py::int_(record[i]);
  return tuple;
}

void fill_record(const py::handle& object, std::span<std::int64_t> record, const char* what) {
  if (PyLong_CheckExact(object.ptr()) != 0 && record.size() == 1) {
    record[0] = object.cast<std::int64_t>();
    return;
  }
  const auto sequence = py::reinterpret_borrow<py::object>(object);
  if (!py::isinstance<py::sequence>(sequence) || py::len(sequence) != record.size())
    throw Error(fmt::format("{} is {}, allowed is {} integer{}", what, std::string(py::repr(object)),
                            record.size(), record.size() == 1 ? "" : "s"));
  std::size_t i = 0;
  for (const py::handle number : sequence) record[i++] = number.cast<std::int64_t>();
}

// ---- Protocols in Python.

/// An inbox as a step sees it; gone when the step ends.
class PythonInbox {
 public:
  explicit PythonInbox(const mpc::Inbox& inbox) : inbox_(&inbox) {}
  void end() { inbox_ = nullptr; }
  Integers words() const { return numbers_of(inbox().words()); }
  std::size_t size() const { return inbox().size(); }
  py::list runs() const {
    py::list runs;
    for (const mpc::Run run : inbox())
      runs.append(py::make_tuple(run.source, run.sequence, numbers_of(run.words)));
    return runs;
  }
  Integers from(mpc::MachineId source) const {
    std::vector<mpc::Word> words;
    for (const mpc::Run run : inbox()) {
      if (run.source == source) words.insert(words.end(), run.words.begin(), run.words.end());
    }
    return numbers_of(words);
  }

 private:
  const mpc::Inbox& inbox() const {
    if (inbox_ == nullptr)
      throw py::value_error("an inbox lasts for its step alone: keep inbox.words instead");
    return *inbox_;
  }
  const mpc::Inbox* inbox_;
};

class PythonProtocol final : public mpc::Protocol {
 public:
  PythonProtocol(const py::object& instance, mpc::Shape shape)
      : instance_(hold(instance)), step_(hold(instance.attr("step"))), shape_(std::move(shape)) {}
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    in_python([&] {
      const py::object given = py::cast(PythonInbox(inbox));
      auto& view = given.cast<PythonInbox&>();
      try {
        send((*step_)(step.machine, step.round, given), step.round == shape_.rounds, outbox);
      } catch (...) {
        view.end();
        throw;
      }
      view.end();
    });
  }

 private:
  void send(const py::object& messages, bool last, mpc::Outbox& outbox) const {
    if (messages.is_none()) return;
    const py::object list =
        py::isinstance<py::dict>(messages) ? py::object(messages.attr("items")()) : messages;
    for (const py::handle message : list) {
      if (!py::isinstance<py::tuple>(message) || py::len(message) != 2)
        throw Error(fmt::format("a message is {}, allowed is a pair ({}, number or numbers)",
                                std::string(py::repr(message)), last ? "output" : "machine"));
      const auto pair = py::reinterpret_borrow<py::tuple>(message);
      const auto to = pair[0].cast<std::int64_t>();
      if (to < 0 || to > 0xffffffff)
        throw Error(fmt::format("a message is sent to {}, allowed is 0 and on", to));
      auto destination = static_cast<std::uint32_t>(to);
      for_each_word(pair[1], last, [&](mpc::Word word) {
        last ? outbox.deliver(destination++, word) : outbox.send(destination, word);
      });
    }
  }

  Held instance_, step_;
  mpc::Shape shape_;
};

/// A protocol's record, from the registry or made of Python objects.
struct Info {
  mpc::ProtocolInfo info;
};

mpc::Outputs outputs_of(const py::handle& list) {
  mpc::Outputs outputs;
  for (const py::handle value : list) {
    outputs.push_back(value.is_none() ? std::optional<std::int64_t>() : value.cast<std::int64_t>());
  }
  return outputs;
}

py::object values_object(std::span<const std::int64_t> values) {
  return Integers(static_cast<py::ssize_t>(values.size()), values.data());
}

py::dict options_of(const mpc::Parameters& parameters) {
  py::dict options;
  for (const auto& [name, value] : parameters.options) options[py::str(name)] = value;
  return options;
}

/// `factory(n, epsilon, seed, options)` makes an instance with plan(n, block, memory), step() and, if they are not
/// None, oracle(values, options), check(values, outputs, options), generate(n, seed, options).
Info python_protocol(const std::string& name, const std::string& summary, const std::string& card,
                     std::uint64_t kappa_s, const std::vector<std::pair<std::string, std::string>>& options,
                     const py::object& factory, const py::object& oracle, const py::object& check,
                     double failure_probability, const py::object& generate) {
  Info made;
  mpc::ProtocolInfo& info = made.info;
  info.name = name;
  info.summary = summary;
  info.card = card;
  info.rounds_formula = "as its plan says";
  info.kappa_s = kappa_s;
  for (const auto& [option, fallback] : options)
    info.options.push_back({option, fallback, "of the protocol"});
  info.make = [factory = hold(factory), kappa_s](const mpc::Parameters& parameters) {
    return in_python([&]() -> std::unique_ptr<const mpc::Protocol> {
      const py::object instance = (*factory)(parameters.n, parameters.seed, options_of(parameters));
      py::object planned;
      const mpc::Sizes sizes = mpc::choose_sizes(parameters, kappa_s, [&](const mpc::Sizes& at) {
        planned = instance.attr("_plan")(at.block_words, at.memory_words);
        return !planned.is_none();
      });
      const auto number = [&](const char* field) { return planned[field].cast<std::uint64_t>(); };
      mpc::Shape shape = mpc::declare_shape(parameters, sizes, number("outputs"), number("machines"));
      shape.rounds = static_cast<std::uint32_t>(number("rounds"));
      shape.input_bits = kInputBits;
      shape.validate();
      instance.attr("_shaped")(shape.machines, shape.block_words, shape.memory_words, shape.rounds,
                               shape.outputs);
      return std::make_unique<PythonProtocol>(instance, shape);
    });
  };
  info.decode = [](const mpc::Protocol&, std::uint64_t, mpc::Word word) -> std::optional<std::int64_t> {
    if (word == kNone) return std::nullopt;
    return static_cast<std::int64_t>(word) - kOffset;
  };
  if (!oracle.is_none()) {
    info.oracle = [oracle = hold(oracle)](std::span<const std::int64_t> values,
                                          const mpc::Parameters& parameters) {
      return in_python([&] { return outputs_of((*oracle)(values_object(values), options_of(parameters))); });
    };
  }
  if (!check.is_none()) {
    info.check = [check = hold(check)](std::span<const std::int64_t> values, const mpc::Outputs& outputs,
                                       const mpc::Parameters& parameters) {
      return in_python([&] {
        const py::object wrong = (*check)(values_object(values), outputs, options_of(parameters));
        return wrong.is_none() ? std::string() : py::str(wrong).cast<std::string>();
      });
    };
  }
  info.failure_probability = failure_probability;
  if (!generate.is_none()) {
    info.generate = [generate = hold(generate)](const mpc::Parameters& parameters) {
      return in_python([&] {
        return (*generate)(parameters.n, parameters.seed, options_of(parameters)).cast<mpc::Values>();
      });
    };
  }
  return made;
}

Info map_reduce(const std::string& name, const std::string& summary, std::uint64_t record_words,
                const py::list& jobs, const std::string& output, std::uint64_t kappa_s) {
  mpc::MapReduce work{.name = name,
                      .summary = summary,
                      .record_words = record_words,
                      .jobs = {},
                      .output = output,
                      .generate = {},
                      .kappa_s = kappa_s};
  for (const py::handle given : jobs) {
    mpc::MapReduceJob job;
    job.pairs = given["pairs"].cast<std::uint64_t>();
    job.key_words = given["key_words"].cast<std::uint64_t>();
    job.value_words = given["value_words"].cast<std::uint64_t>();
    job.record_words = given["record_words"].cast<std::uint64_t>();
    job.map = [map = hold(py::object(given["map"])), keys = job.key_words, values = job.value_words](
                  mpc::Record record, const mpc::Emit& emit) {
      in_python([&] {
        std::vector<std::int64_t> pair(keys + values);
        const std::span<std::int64_t> all = pair;
        for (const py::handle made : (*map)(record_object(record))) {
          if (!py::isinstance<py::tuple>(made) || py::len(made) != 2)
            throw Error(
                fmt::format("map made {}, allowed is a pair (key, value)", std::string(py::repr(made))));
          const auto tuple = py::reinterpret_borrow<py::tuple>(made);
          fill_record(tuple[0], all.first(keys), "a key");
          fill_record(tuple[1], all.subspan(keys), "a value");
          emit(all.first(keys), all.subspan(keys));
        }
      });
    };
    if (const py::object combine(given["combine"]); !combine.is_none()) {
      job.combine = [combine = hold(combine)](std::span<std::int64_t> left, mpc::Record right) {
        in_python([&] {
          fill_record((*combine)(record_object(left), record_object(right)), left, "what combine made");
        });
      };
    }
    if (const py::object reduce(given["reduce"]); !reduce.is_none()) {
      job.reduce = [reduce = hold(reduce)](const mpc::Reduced& reduced, std::span<std::int64_t> record) {
        return in_python([&] {
          const py::object made = (*reduce)(record_object(reduced.key), record_object(reduced.value));
          if (made.is_none()) return false;
          fill_record(made, record, "a record");
          return true;
        });
      };
    }
    work.jobs.push_back(std::move(job));
  }
  return {mpc::map_reduce_protocol(work)};
}

// ---- Ranks.

struct Ranks {
  std::optional<mpc::MpiSession> session;
  std::unique_ptr<mpc::Transport> transport;
};
Ranks& ranks() {
  static Ranks instance;
  return instance;
}

mpc::Transport& transport() {
  Ranks& all = ranks();
  if (!all.transport) {
    if (mpc::under_launcher()) {
      static int argc = 1;
      static std::string name = "python3";
      static char* arguments[] = {name.data(), nullptr};
      static char** argv = arguments;
      all.session.emplace(argc, argv);
      all.transport = all.session->transport();
    } else {
      all.transport = mpc::make_in_process_transport();
    }
  }
  return *all.transport;
}

void finish() {
  ranks().transport.reset();
  ranks().session.reset();
}

// ---- The facades.

mpc::Parameters parameters_of(std::uint64_t n, const py::dict& given) {
  mpc::Parameters parameters;
  parameters.n = n;
  for (const auto& [key, value] : given) {
    const std::string name = py::str(key);
    const auto rational = [&] { return Rational::parse(std::string(py::str(value)), name); };
    const auto count = [&] {
      const auto number = value.cast<std::int64_t>();
      require_field(number >= 0, name.c_str(), "is {}, allowed is 0 and on", number);
      return static_cast<std::uint64_t>(number);
    };
    if (name == "epsilon") {
      parameters.epsilon = rational();
    } else if (name == "gamma") {
      parameters.gamma = rational();
    } else if (name == "delta") {
      parameters.delta = rational(), parameters.delta_given = true;
    } else if (name == "eta") {
      parameters.eta = rational();
    } else if (name == "kappa_s") {
      parameters.kappa_s = count();
    } else if (name == "memory") {
      parameters.memory_words = count();
    } else if (name == "machines") {
      parameters.machines = count();
    } else if (name == "seed") {
      parameters.seed = count();
    } else {
      parameters.options[name] = std::string(py::str(value));
    }
  }
  parameters.validate();
  return parameters;
}

struct Instance {
  mpc::Parameters parameters;
  std::shared_ptr<const mpc::Protocol> protocol;
  std::vector<std::int64_t> values;
  std::vector<mpc::Word> words;
};

/// The protocol alone, for N = n.
Instance make(const Info& info, std::uint64_t n, const py::dict& given) {
  Instance instance;
  instance.parameters = parameters_of(n, given);
  for (const auto& [name, value] : instance.parameters.options) {
    std::string known;
    bool found = false;
    for (const mpc::OptionInfo& option : info.info.options) {
      known += (known.empty() ? "" : ", ") + option.name;
      found = found || option.name == name;
    }
    require_field(found, name.c_str(),
                  "{} has no such parameter, allowed are epsilon, gamma, delta, eta, kappa_s, "
                  "memory, machines, seed{}{}",
                  info.info.name, known.empty() ? "" : ", ", known);
  }
  instance.protocol = info.info.make(instance.parameters);
  instance.protocol->shape().validate();
  return instance;
}

Instance prepare(const Info& info, const Integers& values, const py::dict& given) {
  Instance instance = make(info, static_cast<std::uint64_t>(values.size()), given);
  instance.values.assign(values.data(), values.data() + values.size());
  for (std::size_t i = 0; i < instance.values.size(); ++i) {
    instance.words.push_back(
        mpc::encode_input(instance.values[i], instance.protocol->shape(), fmt::format("value {}", i)));
  }
  if (info.info.accept) info.info.accept(instance.values, instance.parameters);
  return instance;
}

py::dict shape_facts(const Info& info, const mpc::Shape& shape) {
  py::dict facts;
  facts["protocol"] = info.info.name;
  facts["n"] = shape.n;
  facts["machines"] = shape.machines;
  facts["block_words"] = shape.block_words;
  facts["memory_words"] = shape.memory_words;
  facts["kappa_s"] = shape.kappa_s;
  facts["kappa_raised"] = shape.kappa_raised;
  facts["rounds_bound"] = shape.rounds;
  facts["rounds_formula"] = info.info.rounds_formula;
  facts["below_range"] = shape.below_range();
  return facts;
}

/// (numbers, which are there)
py::tuple outputs_object(const Info& info, const mpc::Protocol& protocol, std::span<const mpc::Word> words) {
  Integers values(static_cast<py::ssize_t>(words.size()));
  py::array_t<bool> present(static_cast<py::ssize_t>(words.size()));
  for (std::size_t t = 0; t < words.size(); ++t) {
    const auto value = info.info.decode(protocol, t, words[t]);
    values.mutable_data()[t] = value.value_or(0);
    present.mutable_data()[t] = value.has_value();
  }
  return py::make_tuple(values, present);
}

/// What is wrong with the outputs by oracle and check, in one line; empty if nothing is.
std::string difference(const Info& info, const Instance& instance, std::span<const mpc::Word> words) {
  const mpc::Outputs outputs = mpc::decode_outputs(info.info, *instance.protocol, words);
  const auto own_check = [&] {
    return info.info.check ? info.info.check(instance.values, outputs, instance.parameters) : std::string();
  };
  if (!info.info.oracle) return own_check();
  const mpc::Outputs expected = info.info.oracle(instance.values, instance.parameters);
  require(expected.size() == words.size(), "the oracle of {} has {} outputs, the protocol {}", info.info.name,
          expected.size(), words.size());
  const auto text = [](const std::optional<std::int64_t>& value) {
    return value ? std::to_string(*value) : std::string("None");
  };
  for (std::size_t t = 0; t < words.size(); ++t) {
    if (outputs[t] != expected[t])
      return fmt::format("output {} is {}, expected {}", t, text(outputs[t]), text(expected[t]));
  }
  return own_check();
}

py::dict run(const Info& info, const Integers& values, const py::dict& given, std::uint64_t limit_words,
             bool check) {
  const Instance instance = prepare(info, values, given);
  require_field(!check || info.info.has_answers(), "check", "{} has no oracle and no check", info.info.name);
  mpc::Transport& between = transport();
  mpc::RunResult result;
  {
    const py::gil_scoped_release unlocked;
    result = mpc::run(*instance.protocol, instance.words, between, {.limit_words = limit_words});
    std::string bytes(reinterpret_cast<const char*>(result.outputs.data()),
                      result.outputs.size() * sizeof(mpc::Word));
    between.broadcast(bytes);
    result.outputs.resize(bytes.size() / sizeof(mpc::Word));
    std::copy_n(bytes.data(), bytes.size(), reinterpret_cast<char*>(result.outputs.data()));
  }
  py::dict facts = shape_facts(info, instance.protocol->shape());
  const mpc::RoundFacts overall = result.ledger.overall();
  facts["rounds"] = result.ledger.rounds.size();
  facts["max_words_sent"] = overall.max_words_sent;
  facts["max_words_received"] = overall.max_words_received;
  facts["max_scratch_words"] = overall.max_scratch_words;
  facts["total_words"] = overall.total_words;
  facts["transport"] = std::string(between.name());
  facts["ranks"] = between.ranks();
  facts["seconds"] = result.seconds;
  py::list ledger;
  for (const mpc::RoundFacts& round : result.ledger.rounds) {
    py::dict row;
    row["max_words_sent"] = round.max_words_sent;
    row["max_words_received"] = round.max_words_received;
    row["total_words"] = round.total_words;
    ledger.append(row);
  }
  if (const auto* composition = dynamic_cast<const mpc::Composition*>(instance.protocol.get())) {
    for (const mpc::Composition::Phase& phase : composition->phases()) {
      for (std::uint32_t i = 0; i < phase.rounds; ++i)
        ledger[phase.first_round - 1 + i]["phase"] = phase.name;
    }
  }
  facts["ledger"] = ledger;
  facts["outputs"] = outputs_object(info, *instance.protocol, result.outputs);
  if (check) facts["difference"] = difference(info, instance, result.outputs);
  return facts;
}

simulate::CompileOptions compile_options(const Info& info, const Instance& instance,
                                         const std::string& construction, std::string_view attention) {
  simulate::CompileOptions options;
  options.construction = construction;
  options.ids = simulate::ids_for(attention);
  if (instance.parameters.delta_given) options.delta = instance.parameters.delta;
  options.eta = instance.parameters.eta;
  options.seed = instance.parameters.seed;
  options.name = info.info.name;
  return options;
}

const std::string& mechanism_of(const std::string& attention) {
  return anna::mechanism_for_equal_keys(attention).name;
}

void add_sizes(py::dict& facts, const simulate::TransformerSizes& sizes) {
  facts["layers"] = sizes.depth;
  facts["heads"] = sizes.heads;
  facts["head_dimension"] = std::max(sizes.query_dimension, sizes.value_dimension);
  facts["width"] = sizes.width;
  facts["embedding_dimension"] = sizes.embedding_dimension;
}

py::dict compile(const Info& info, const Integers& values, const py::dict& given,
                 const std::string& construction, const std::string& attention) {
  const Instance instance = prepare(info, values, given);
  const std::string& mechanism = mechanism_of(attention);
  std::optional<simulate::Compiled> compiled;
  simulate::Comparison comparison;
  {
    const py::gil_scoped_release unlocked;
    compiled = simulate::compile(instance.protocol, compile_options(info, instance, construction, mechanism));
    const std::unique_ptr<anna::Attention> heads = simulate::make_attention(*compiled, mechanism);
    comparison = simulate::compare(*compiled, instance.words, *heads);
    if (!comparison.run_violation.empty()) {  // once more, for the exception with its fields
      (void)mpc::run(*instance.protocol, instance.words, *mpc::make_in_process_transport());
    }
  }
  py::dict facts = shape_facts(info, instance.protocol->shape());
  facts["rounds"] = comparison.rounds;
  facts["construction"] = construction;
  facts["attention"] = attention;
  add_sizes(facts, comparison.sizes);
  facts["layers_bound"] = compiled->bound.depth;
  facts["width_bound"] = compiled->bound.width;
  facts["tokens"] = compiled->transformer.tokens;
  facts["equal"] = comparison.equal;
  facts["fault"] = comparison.fault;
  facts["overflow"] = comparison.overflow;
  facts["run_seconds"] = comparison.run_seconds;
  facts["evaluate_seconds"] = comparison.evaluate_seconds;
  facts["first_difference"] = comparison.first_difference
                                  ? py::object(py::int_(comparison.first_difference->output))
                                  : py::object(py::none());
  py::list passes;
  for (const simulate::Pass& pass : compiled->passes) passes.append(py::make_tuple(pass.name, pass.effect));
  facts["passes"] = passes;
  facts["outputs"] = outputs_object(info, *instance.protocol,
                                    comparison.fault ? std::vector<mpc::Word>{} : comparison.outputs.words);
  return facts;
}

py::dict plan(const Info& info, std::uint64_t n, const py::dict& given, const std::string& construction) {
  const Instance instance = make(info, n, given);
  py::dict facts = shape_facts(info, instance.protocol->shape());
  const simulate::EvaluationPlan evaluation =
      simulate::plan(instance.protocol->shape(), compile_options(info, instance, construction, "ema"));
  facts["construction"] = construction;
  add_sizes(facts, evaluation.sizes);
  facts["evaluation_bytes"] = evaluation.peak_bytes;
  return facts;
}

std::string explain(const Info& info, const Integers& values, const py::dict& given,
                    const std::string& construction, const std::string& attention,
                    const std::vector<std::string>& texts) {
  const std::uint64_t n = static_cast<std::uint64_t>(values.size());
  require_field(n >= explain::kMinWords && n <= explain::kMaxWords, "values",
                "N is {}, allowed is {} to {}: every word is drawn", n, explain::kMinWords,
                explain::kMaxWords);
  const Instance instance = prepare(info, values, given);
  const auto text_of = [&](std::int64_t value) {
    return value >= 0 && static_cast<std::uint64_t>(value) < texts.size()
               ? texts[static_cast<std::size_t>(value)]
               : fmt::format("{}", value);
  };
  explain::Names names{.title = info.info.name,
                       .summary = info.info.summary,
                       .rounds_formula = info.info.rounds_formula,
                       .input = {},
                       .output = {}};
  for (const std::int64_t value : instance.values) names.input.push_back(explain::printable(text_of(value)));
  names.output = [&](std::uint64_t output, mpc::Word word) -> std::string {
    const auto value = info.info.decode(*instance.protocol, output, word);
    if (!value) return {};
    const std::string& record = info.info.output_record;
    const bool symbol = info.info.output_form == mpc::OutputForm::kSymbols ||
                        (!record.empty() && record[output % record.size()] == 's');
    return symbol ? explain::printable(text_of(*value)) : fmt::format("{}", *value);
  };
  const std::string& mechanism = mechanism_of(attention);
  const py::gil_scoped_release unlocked;
  return explain::page(explain::record(
      simulate::compile(instance.protocol, compile_options(info, instance, construction, mechanism)),
      mechanism, instance.words, names));
}

py::dict decompile(const std::string& name, const Integers& values, const py::dict& given,
                   const std::string& attention) {
  const auto n = static_cast<std::uint64_t>(values.size());
  const mpc::Parameters parameters = parameters_of(n, given);
  anna::Model model;
  simulate::DecompileOptions options;
  options.name = name;
  std::int64_t offset = 0;  // random models and files read words as they are; protocols as signed numbers
  if (name.starts_with("random:")) {
    const anna::MechanismInfo* mechanism = anna::find_mechanism(attention.empty() ? "anna" : attention);
    require_field(mechanism != nullptr, "attention", "is '{}', no mechanism", attention);
    const anna::RandomModel random = anna::RandomModel::parse(name);
    std::vector<std::uint64_t> chosen;
    for (const anna::MechanismOption& option : mechanism->options) chosen.push_back(option.value);
    model =
        anna::make_random_model(random, n, mechanism->draw({random, n, parameters.eta.to_double(), chosen}));
  } else if (name.find_first_of("/.") != std::string::npos) {
    model = anna::load_model(name).model;
  } else {
    const Info info{mpc::find_protocol(name)};
    const Instance instance = make(info, n, given);
    const std::string& mechanism = mechanism_of(attention.empty() ? "ema" : attention);
    model = simulate::as_model(
        simulate::compile(instance.protocol, compile_options(info, instance, "direct", mechanism)),
        mechanism);
    options.input_bits = instance.protocol->shape().input_bits;
    offset = std::int64_t{1} << (instance.protocol->shape().input_bits - 1);
  }
  std::vector<mpc::Word> words;
  for (py::ssize_t i = 0; i < values.size(); ++i) {
    require_field(values.data()[i] + offset >= 0, "values", "value {} is {}, allowed is 0 and on", i,
                  values.data()[i]);
    words.push_back(static_cast<mpc::Word>(values.data()[i] + offset));
  }
  std::optional<simulate::DecompiledRun> run;
  {
    const py::gil_scoped_release unlocked;
    run = simulate::run_decompiled(model, words, parameters, options);
  }
  const mpc::RoundFacts overall = run->run.ledger.overall();
  py::dict facts;
  facts["model"] = name;
  facts["n"] = n;
  facts["tokens"] = run->plan.tokens;
  facts["layers"] = model.transformer.layers.size();
  facts["rounds"] = run->run.ledger.rounds.size();
  facts["rounds_bound"] = run->plan.rounds;
  facts["machines"] = run->plan.machines;
  facts["memory_words"] = run->plan.memory_words;
  facts["kappa_s"] = run->plan.kappa_s;
  facts["max_words_sent"] = overall.max_words_sent;
  facts["max_words_received"] = overall.max_words_received;
  facts["total_words"] = overall.total_words;
  facts["below_range"] = run->plan.below_range();
  facts["seconds"] = run->run.seconds;
  const anna::Activations& rows = run->rows;
  py::array_t<double> dense(
      {static_cast<py::ssize_t>(rows.tokens()), static_cast<py::ssize_t>(rows.dimension())});
  std::fill_n(dense.mutable_data(), dense.size(), 0.0);
  for (std::uint64_t token = 0; token < rows.tokens(); ++token) {
    for (const anna::Entry& entry : rows.row(token).entries)
      dense.mutable_data()[token * rows.dimension() + entry.column] = entry.value;
  }
  facts["rows"] = dense;
  facts["equal"] =
      rows == anna::evaluate(model, simulate::input_activations(words, model.transformer.tokens));
  return facts;
}

py::tuple verify(const std::vector<std::string>& names, bool full, std::uint64_t seed, bool controls) {
  proofs_check::VerifyOptions options;
  options.statements = names;
  options.sizes = full ? proofs_check::Sizes::kFull : proofs_check::Sizes::kSmall;
  options.seed = seed;
  options.controls = controls;
  mpc::Transport& between = transport();
  const py::gil_scoped_release unlocked;
  const proofs_check::Report report = proofs_check::verify(options, between);
  const std::string json = proofs_check::to_json(report).dump(), text = proofs_check::terminal_table(report);
  const py::gil_scoped_acquire lock;
  return py::make_tuple(json, text);
}

anna::RealRows rows_of(const py::array_t<float, py::array::c_style | py::array::forcecast>& matrix,
                       const char* name) {
  require_field(matrix.ndim() == 2 && matrix.size() > 0, name, "has {} dimensions, allowed is a matrix",
                matrix.ndim());
  return {static_cast<std::uint64_t>(matrix.shape(0)),
          static_cast<std::uint32_t>(matrix.shape(1)),
          {matrix.data(), matrix.data() + matrix.size()}};
}

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;
py::dict attend(const Floats& queries, const Floats& keys, const Floats& values, double c,
                const std::string& family, std::optional<double> radius, double eta,
                std::optional<std::uint32_t> tables, std::optional<std::uint32_t> functions,
                std::uint64_t seed, const std::string& compare) {
  anna::AttendOptions options;
  options.family = anna::parse_family(family);
  options.c = c;
  options.radius = radius;
  options.eta = eta;
  options.tables = tables;
  options.functions = functions;
  options.seed = seed;
  const anna::RealRows q = rows_of(queries, "queries"), k = rows_of(keys, "keys"),
                       v = rows_of(values, "values");
  const auto with = compare.empty() ? anna::AttendCompare::kNone : anna::parse_compare(compare);
  const anna::AttendPlan plan = anna::plan_attend(q.rows, k.rows, k.columns, v.columns, options);
  std::optional<anna::AttendReport> report;
  {
    const py::gil_scoped_release unlocked;
    report =
        anna::attend(anna::quantise(q, k, v, anna::compares_directions(options.family)), plan, options, with);
  }
  py::dict facts;
  facts["family"] = family;
  facts["c"] = plan.c;
  facts["radius"] = plan.radius;
  facts["tables"] = plan.tables;
  facts["functions"] = plan.functions;
  facts["rho"] = plan.rho;
  facts["guaranteed"] = plan.guaranteed;
  facts["advice"] = plan.advice;
  facts["empty_queries"] = report->result.facts.empty_queries;
  facts["collisions"] = report->result.facts.collisions;
  facts["seconds"] = report->result.facts.seconds;
  if (!report->compared_with.empty()) {
    facts["compared_with"] = report->compared_with;
    facts["max_error"] = report->max_error;
    facts["relative_error"] = report->relative_error;
    facts["equal"] = report->equal;
  }
  py::array_t<double> rows({static_cast<py::ssize_t>(q.rows), static_cast<py::ssize_t>(v.columns)});
  std::ranges::copy(report->result.rows, rows.mutable_data());
  facts["rows"] = rows;
  return facts;
}

py::list list() {
  py::list all;
  for (const mpc::ProtocolInfo* info : mpc::all_protocols()) {
    py::dict row;
    row["name"] = info->name;
    row["summary"] = info->summary;
    row["rounds_formula"] = info->rounds_formula;
    row["kappa_s"] = info->kappa_s;
    row["card"] = info->card;
    py::dict options;
    for (const mpc::OptionInfo& option : info->options) options[py::str(option.name)] = option.help;
    row["options"] = options;
    all.append(row);
  }
  return all;
}

Integers generate(const Info& info, std::uint64_t n, const py::dict& given) {
  const mpc::Parameters parameters = parameters_of(n, given);
  mpc::Values values;
  if (info.info.generate) values = info.info.generate(parameters);
  RandomStream stream(parameters.seed, Domain::kInstance);
  while (values.size() < n) values.push_back(static_cast<std::int64_t>(stream.below(n)));
  return Integers(static_cast<py::ssize_t>(values.size()), values.data());
}

std::string_view kind_name(mpc::ModelViolation::Kind kind) {
  using Kind = mpc::ModelViolation::Kind;
  switch (kind) {
    case Kind::kWordsSent:
      return "words sent";
    case Kind::kWordsReceived:
      return "words received";
    case Kind::kWordWidth:
      return "word width";
    case Kind::kHeap:
      return "words from the heap";
    case Kind::kDestination:
      return "destination";
    case Kind::kMessageAfterEnd:
      return "message after the end";
    case Kind::kEarlyOutput:
      return "early output";
    case Kind::kMissingOutput:
      return "missing output";
    case Kind::kDuplicateOutput:
      return "duplicate output";
    case Kind::kScratch:
      return "scratch memory";
    case Kind::kStepFailed:
      return "step failed";
  }
  return "unknown";
}

/// Raises `name` of roundtrip.errors with the fields as attributes.
void raise(const char* name, const std::string& message, const py::dict& fields, bool caused = false) {
  const py::object error = py::module_::import("roundtrip.errors").attr(name)(message);
  for (const auto& [field, value] : fields) error.attr(py::str(field)) = value;
  if (caused && last_raised) error.attr("__cause__") = *last_raised;
  last_raised.reset();
  PyErr_SetObject(py::type::of(error).ptr(), error.ptr());
}

void translate(std::exception_ptr thrown) {
  using namespace py::literals;
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const mpc::ModelViolation& violation) {
    const mpc::ModelViolation::Facts& facts = violation.facts();
    if (facts.kind == mpc::ModelViolation::Kind::kStepFailed) {
      raise("StepFailed", violation.what(),
            py::dict("round"_a = facts.round, "machine"_a = facts.machine, "detail"_a = violation.detail()),
            true);
    } else {
      raise("ModelViolation", violation.what(),
            py::dict("kind"_a = std::string(kind_name(facts.kind)), "round"_a = facts.round,
                     "machine"_a = facts.machine, "used"_a = facts.used, "allowed"_a = facts.allowed));
    }
  } catch (const ContractError& error) {
    raise("ContractError", error.what(), py::dict("field"_a = error.field()));
  } catch (const PythonError& error) {
    raise("ContractError", error.what(), py::dict("field"_a = std::string()), true);
  } catch (const InternalError& error) {
    raise("InternalError", error.what(), {});
  } catch (const Error& error) {
    raise("ContractError", error.what(), py::dict("field"_a = std::string()));
  }
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  using namespace py::literals;
  module.doc() = "The core of roundtrip: what the package's Python files are written with.";
  module.attr("__version__") = ROUNDTRIP_VERSION;
  py::register_exception_translator(translate);
  anna::register_resolver(simulate::protocol_resolver());
  py::class_<PythonInbox>(
      module, "Inbox",
      "What a machine received in the last round, by sender and then in the order it was sent; in "
      "round 1 its input. It lasts for the step alone.")
      .def_property_readonly("words", &PythonInbox::words, "All numbers, as a numpy array of its own.")
      .def_property_readonly(
          "runs", &PythonInbox::runs,
          "[(source, sequence, numbers), ..]: sequence is the first one's place in all that the "
          "source sent.")
      .def("sent_by", &PythonInbox::from, "machine"_a, "The numbers from one machine.")
      .def("__len__", &PythonInbox::size);
  py::class_<Info>(module, "Info")
      .def_property_readonly("name", [](const Info& info) { return info.info.name; })
      .def_property_readonly("summary", [](const Info& info) { return info.info.summary; })
      .def_property_readonly("card", [](const Info& info) { return info.info.card; })
      .def_property_readonly("has_oracle", [](const Info& info) { return info.info.oracle != nullptr; })
      .def_property_readonly("drops_absent_tail",
                             [](const Info& info) { return info.info.drops_absent_tail; })
      .def_property_readonly("output", [](const Info& info) {
        if (info.info.output_form == mpc::OutputForm::kRecords) return info.info.output_record;
        return std::string(info.info.output_form == mpc::OutputForm::kSymbols ? "s" : "n");
      });
  module.def("find", [](const std::string& name) { return Info{mpc::find_protocol(name)}; });
  module.def("register", [](const Info& info) { mpc::register_protocol(info.info); });
  module.def("python_protocol", &python_protocol);
  module.def("map_reduce", &map_reduce);
  module.def("list", &list);
  module.def("generate", &generate);
  module.def("run", &run);
  module.def("compile", &compile);
  module.def("plan", &plan);
  module.def("explain", &explain);
  module.def("decompile", &decompile);
  module.def("verify", &verify);
  module.def("attend", &attend);
  module.def("under_launcher", &mpc::under_launcher);
  module.def("rank", [] { return transport().rank(); });
  module.def("ranks", [] { return transport().ranks(); });
  module.def("abort", [](int status) { transport().abort(status); });
  module.def("finish", &finish);
}

}  // namespace roundtrip::python
