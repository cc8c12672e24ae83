#include "roundtrip/mpc/agree.h"

#include <algorithm>
#include <boost/serialization/string.hpp>
#include <cstdint>
#include <new>
#include <optional>
#include <span>

#include "roundtrip/base/ensure.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/runtime/archive.h"
#include "roundtrip/mpc/violation.h"

namespace roundtrip::mpc {
namespace {

/// An exception on its way to other ranks.
struct Failure {
  enum Family : int { kFault, kContract, kViolation };  // in the order in which they are reported
  int family = kFault;
  std::string message;  // of a violation: its detail
  std::string field;    // of a ContractError
  ModelViolation::Facts facts{};

  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    archive& family& message& field& facts.kind& facts.round& facts.machine& facts.used& facts.allowed;
  }
  ModelViolation violation() const { return ModelViolation(facts, message); }
  bool before(const Failure& other) const {
    if (family != other.family) return family < other.family;
    return family == kViolation && violation().before(other.violation());
  }
  [[noreturn]] void raise() const {
    if (family == kViolation) throw violation();
    if (family == kFault) throw AgreedFault(message);
    if (field.empty()) throw ContractError(message);
    throw ContractError(field, message.substr(field.size() + 2));  // after "field: "
  }
};

Failure failure_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const ModelViolation& error) {
    return {Failure::kViolation, error.detail(), {}, error.facts()};
  } catch (const ContractError& error) {
    return {Failure::kContract, error.what(), error.field(), {}};
  } catch (const std::bad_alloc&) {
    return {Failure::kFault, "out of memory", {}, {}};
  } catch (const std::exception& error) {
    return {Failure::kFault, error.what(), {}, {}};
  } catch (...) {
    return {Failure::kFault, "threw something that is not a std::exception", {}, {}};
  }
}

}  // namespace

std::vector<std::string> all_gather(Transport& transport, const std::string& mine) {
  const auto ranks = static_cast<std::size_t>(transport.ranks());
  const std::vector<std::uint64_t> send(ranks, mine.size());
  std::vector<std::uint64_t> sizes(ranks);
  transport.all_to_all(send, sizes);
  const auto words_of = [](std::uint64_t bytes) { return ceil_div(bytes, sizeof(std::uint64_t)); };
  std::vector<std::uint64_t> words(words_of(mine.size()));
  std::copy_n(mine.data(), mine.size(), reinterpret_cast<char*>(words.data()));  // of no words, too
  std::vector<std::vector<std::uint64_t>> received(ranks);
  std::vector<Transport::SendPiece> sending;
  std::vector<Transport::ReceivePiece> receiving;
  for (int rank = 0; rank < transport.ranks(); ++rank) {
    const auto r = static_cast<std::size_t>(rank);
    if (rank == transport.rank()) continue;
    received[r].resize(words_of(sizes[r]));
    if (!words.empty()) sending.push_back({rank, words});
    if (!received[r].empty()) receiving.push_back({rank, received[r]});
  }
  transport.exchange(sending, receiving);
  std::vector<std::string> result(ranks);
  for (std::size_t r = 0; r < ranks; ++r) {
    result[r] = r == static_cast<std::size_t>(transport.rank())
                    ? mine
                    : std::string(reinterpret_cast<const char*>(received[r].data()), sizes[r]);
  }
  return result;
}

void agree(Transport& transport, const std::exception_ptr& mine) {
  std::optional<Failure> first;
  for (const std::string& bytes : all_gather(transport, mine ? to_bytes(failure_of(mine)) : std::string())) {
    if (bytes.empty()) continue;
    Failure failure = from_bytes<Failure>(bytes);
    if (!first || failure.before(*first)) first = std::move(failure);
  }
  if (first) first->raise();
}

std::string string_from_root(Transport& transport, const std::function<std::string()>& work) {
  constexpr char kResult = 'r', kFailure = 'f';  // the first byte: what the others are
  std::string message;
  if (transport.rank() == 0) {
    try {
      message = kResult + work();
    } catch (...) {
      message = kFailure + to_bytes(failure_of(std::current_exception()));
    }
  }
  transport.broadcast(message);
  ensure(!message.empty(), "rank 0 sent nothing");
  const bool failed = message[0] == kFailure;
  message.erase(0, 1);
  if (failed) from_bytes<Failure>(message).raise();
  return message;
}

}  // namespace roundtrip::mpc
