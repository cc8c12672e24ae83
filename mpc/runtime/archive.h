// Purpose: structured values as bytes and back, by Boost.Serialization: between ranks of one program, and in files
// behind a checksum. A type says what it consists of by a member template `serialize(archive, version)`.
#pragma once

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <sstream>
#include <string>

namespace roundtrip::mpc {

template <typename T>
[[nodiscard]] std::string to_bytes(const T& value) {
  std::ostringstream bytes(std::ios::binary);
  boost::archive::binary_oarchive(bytes, boost::archive::no_header) << value;
  return std::move(bytes).str();
}

/// Of to_bytes() in the same program: other bytes may take any amount of memory.
template <typename T>
[[nodiscard]] T from_bytes(const std::string& bytes) {
  std::istringstream in(bytes, std::ios::binary);
  T value;
  boost::archive::binary_iarchive(in, boost::archive::no_header) >> value;
  return value;
}

}  // namespace roundtrip::mpc
