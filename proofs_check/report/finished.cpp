#include "roundtrip/proofs_check/report/finished.h"

#include <fmt/format.h>

// The program is told apart by its bytes: any change of it may change a verdict.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>
#include <fstream>
#include <iterator>

#include "roundtrip/mpc/runtime/archive.h"

namespace roundtrip {

template <typename Archive>
void serialize(Archive& archive, Rational& value, unsigned) {
  std::int64_t numerator = value.numerator();
  std::int64_t denominator = value.denominator();
  archive& numerator& denominator;
  value = Rational(numerator, denominator);
}

namespace proofs_check {
namespace {

template <typename Archive, typename Value>
void optional(Archive& archive, std::optional<Value>& value) {
  bool present = value.has_value();
  archive& present;
  if (present && !value) value.emplace();
  if (!present) return value.reset();
  archive&* value;
}

std::uint64_t program_checksum() {
  static const std::uint64_t kChecksum = [] {
    std::ifstream program("/proc/self/exe", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(program), {}};
    return XXH3_64bits(bytes.data(), bytes.size());
  }();
  return kChecksum;
}

/// What stands before the archive in a file; an archive whose checksum is another is never opened.
std::string head_of(const std::string& key, const std::string& bytes) {
  return fmt::format("{}\n{:016x}\n", key, XXH3_64bits(bytes.data(), bytes.size()));
}

}  // namespace

template <typename Archive>
void serialize(Archive& archive, Interval& interval, unsigned) {
  archive& interval.low& interval.high;
}
template <typename Archive>
void serialize(Archive& archive, Constant& c, unsigned) {
  archive& c.name& c.value& c.meaning;
}
template <typename Archive>
void serialize(Archive& archive, Metric& m, unsigned) {
  archive& m.quantity& m.n& m.value;
}
template <typename Archive>
void serialize(Archive& archive, Control& c, unsigned) {
  archive& c.theorem& c.control& c.quantity& c.rejected& c.accepted_off;
}
template <typename Archive>
void serialize(Archive& archive, Configuration& c, unsigned) {
  archive& c.theorem& c.n& c.below_range& c.seed;
  optional(archive, c.epsilon);
  optional(archive, c.delta);
}
template <typename Archive>
void serialize(Archive& archive, Check& c, unsigned) {
  archive& c.configuration& c.quantity& c.measured& c.relation& c.bound& c.verdict& c.reason;
  optional(archive, c.interval);
}
template <typename Archive>
void serialize(Archive& archive, StatementReport& r, unsigned) {
  archive& r.name& r.constants& r.checks& r.controls& r.metrics& r.failure& r.failure_message& r.seconds;
}

std::string report_bytes(const StatementReport& report) {
  return mpc::to_bytes(report);
}
StatementReport report_of_bytes(const std::string& bytes) {
  return mpc::from_bytes<StatementReport>(bytes);
}

std::string finished_key(const std::string& statement, const VerifyOptions& options) {
  return fmt::format("{}-{}-{}{}-{:016x}", statement, to_string(options.sizes), options.seed,
                     options.controls ? "" : "-no-controls", program_checksum());
}

std::string finished_file(const StatementReport& report, const std::string& key) {
  const std::string bytes = report_bytes(report);
  return head_of(key, bytes) + bytes;
}

std::optional<StatementReport> read_finished(const std::string& file, const std::string& key) {
  const std::size_t head = head_of(key, {}).size();
  const std::string bytes = file.substr(std::min(head, file.size()));
  // A file of another kind, or a damaged one: the statement is verified again.
  if (!file.starts_with(head_of(key, bytes))) return std::nullopt;
  return report_of_bytes(bytes);
}

}  // namespace proofs_check
}  // namespace roundtrip
