// Purpose: MapReduce as a protocol. A job makes (key, value) pairs of every record, sorts them by key, combines the values
// of every key and makes a record of each: map -> sort -> segmented scan -> reduce. Jobs are chained. Within s for any
// distribution of keys, also if all are one.
//
// Problem:   N input words are records of w words; job i turns records into records; the last one's are the outputs.
// Guarantee: what map_reduce_reference() gives, exactly and deterministically, on any number of machines.
// Cost:      R = 1 + sum over jobs of (T_sort(n_i, K + V + 2) + 2 d_i + 2 e_i + 1): pairs n_i = E_i times the records,
//            K key and V value words, d_i the depth of the scan's tree, e_i of the compaction's (0 without one); at most
//            s words out and in a machine a round. map and reduce are called once a round in which they are needed,
//            on the machine that has the record.
// Source:    Dean, Ghemawat 2004; its simulation by sorting, Goodrich, Sitchinava, Zhang 2011; constants ours.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/mpc/registry.h"

namespace roundtrip::mpc {

/// Numbers of -2^46 .. 2^47 - 1; input words are -2^46 .. 2^46 - 1.
using Record = std::span<const std::int64_t>;

/// Takes a pair that map() makes: K and V numbers.
class Emit {
 public:
  using Take = std::function<void(Record key, Record value)>;
  explicit Emit(const Take& take) : take_(take) {}
  void operator()(std::initializer_list<std::int64_t> key, std::initializer_list<std::int64_t> value) const {
    take_({key.begin(), key.size()}, {value.begin(), value.size()});
  }
  void operator()(Record key, Record value) const { take_(key, value); }

 private:
  const Take& take_;
};

/// What reduce() is given.
struct Reduced {
  Record key;  ///< [K]
  Record
      value;  ///< [V] the group's values combined in order of key and arrival; of `each`, those up to this pair
  Record own;  ///< [V] the pair's own (without `each`, of the group's last pair)
};

struct MapReduceJob {
  std::uint64_t pairs = 1;        ///< E: most pairs of one record
  std::uint64_t key_words = 1;    ///< K
  std::uint64_t value_words = 1;  ///< V
  /// Pairs whose first `group_words` key words are equal are a group; the others order it. 0: K.
  std::uint64_t group_words = 0;
  std::function<void(Record record, const Emit& emit)> map = {};
  /// left := left combined with right; associative. Empty: the first value is kept.
  std::function<void(std::span<std::int64_t> left, Record right)> combine = {};
  bool each = false;               ///< reduce every pair of a group, not the group
  std::uint64_t record_words = 0;  ///< of what reduce makes; 0: K + V
  /// Fills in a record, or returns false: none. Empty: key and value.
  std::function<bool(const Reduced& reduced, std::span<std::int64_t> record)> reduce = {};
  /// At most so many records from `records` of the job's input; it costs 2 e more rounds, and saves all later jobs the
  /// places of pairs that are not there. Empty: n_i.
  std::function<std::uint64_t(std::uint64_t records)> most = {};
};

struct MapReduce {
  std::string name = {};
  std::string summary = {};
  std::uint64_t record_words = 1;  ///< w
  std::vector<MapReduceJob> jobs = {};
  std::string output =
      {};  ///< of an output record's words: s a symbol as it was read, n a number; empty: all n
  std::function<Values(const Parameters&)> generate = {};
  std::uint64_t kappa_s = 8;  ///< raised to the least with a plan
};

/// The protocol, to be registered. Output t is word t of the last job's records, in order of their keys; those that are
/// not there are absent. ContractError if a job lacks its map or has no words.
[[nodiscard]] ProtocolInfo map_reduce_protocol(const MapReduce& work);
/// R by the formula.
[[nodiscard]] std::uint32_t map_reduce_rounds(const MapReduce& work, const Parameters& parameters);
/// The same work record by record, with maps of the standard library: the oracle. Shares map, combine and reduce alone.
[[nodiscard]] std::vector<std::vector<std::int64_t>> map_reduce_reference(
    const MapReduce& work, std::span<const std::int64_t> values);

}  // namespace roundtrip::mpc
