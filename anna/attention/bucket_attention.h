// Purpose: attention that sums over buckets of equal codes, table by table: the engine of exact match, whose one
// table's code is the vector itself, and of ANNA. Internal.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "roundtrip/anna/attention/attention.h"

namespace roundtrip::anna {

/// Which bucket of which table a distinct vector ("class") falls into.
class Bucketing {
 public:
  virtual ~Bucketing() = default;
  virtual std::string name() const = 0;
  virtual std::uint32_t tables() const = 0;
  virtual void reset(std::uint32_t dimension) = 0;                   // forgets all classes
  virtual void add_class(std::span<const std::int32_t> vector) = 0;  // the next class
  virtual std::uint32_t bucket(std::uint32_t table, std::uint32_t vector_class) const = 0;
  virtual std::uint32_t buckets(std::uint32_t table) const = 0;
};

/// c_ij is the number of tables in which query i and key j have one bucket.
std::unique_ptr<Attention> make_bucket_attention(std::unique_ptr<Bucketing> bucketing);
/// The same for keys of tokens up to the query's; for later ones it is 0.
std::unique_ptr<Attention> make_causal_bucket_attention(std::unique_ptr<Bucketing> bucketing);

}  // namespace roundtrip::anna
