#include "roundtrip/anna/files/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/nearest_name.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/base/read_file.h"

namespace roundtrip::anna {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are read in place");

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::string_view kMetadata = "__metadata__";

struct HeaderEntry {
  std::optional<std::string> dtype;
  std::optional<std::vector<std::uint64_t>> shape, offsets;
};

// The header's JSON, event by event: a document tree would keep one of two equal names and hide the other,
// and costs many times the header's size.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::string& path) : path_(path) {}

  std::map<std::string, HeaderEntry, std::less<>> entries;
  TensorMetadata metadata;

  bool start_object(std::size_t) override {
    // The two levels that the format has; a value anywhere else ends in fail().
    if (level_ == 0 || (level_ == 1 && array_ == nullptr)) return ++level_, true;
    return fail("an object");
  }
  bool end_object() override {
    if (level_ == 2 && !in_metadata_) {
      const HeaderEntry& entry = entries.find(name_)->second;
      require(entry.dtype && entry.shape && entry.offsets, "{}: tensor {} lacks {}", quote(path_),
              quote(name_),
              !entry.dtype   ? "dtype"
              : !entry.shape ? "shape"
                             : "data_offsets");
    }
    --level_;
    return true;
  }
  bool key(string_t& text) override {
    if (level_ == 1) {
      name_ = text;
      in_metadata_ = text == kMetadata;
      const bool fresh =
          in_metadata_ ? !std::exchange(metadata_seen_, true) : entries.try_emplace(name_).second;
      require(fresh, "{}: the name {} occurs twice", quote(path_), quote(name_));
    } else {
      field_ = text;
      if (in_metadata_) {
        require(!metadata.contains(field_), "{}: metadata has {} twice", quote(path_), quote(field_));
      } else {
        require(field_ == "dtype" || field_ == "shape" || field_ == "data_offsets",
                "{}: tensor {} has the unknown field {}; allowed are dtype, shape and data_offsets",
                quote(path_), quote(name_), quote(field_));
        const HeaderEntry& entry = entries.find(name_)->second;
        require(!(field_ == "dtype"   ? entry.dtype.has_value()
                  : field_ == "shape" ? entry.shape.has_value()
                                      : entry.offsets.has_value()),
                "{}: tensor {} has {} twice", quote(path_), quote(name_), field_);
      }
    }
    return true;
  }
  bool string(string_t& text) override {
    if (level_ != 2 || array_ != nullptr) return fail("a text");
    if (in_metadata_) return metadata.emplace(field_, text), true;
    if (field_ != "dtype") return fail("a text");
    entries.find(name_)->second.dtype = text;
    return true;
  }
  bool start_array(std::size_t) override {
    if (level_ != 2 || array_ != nullptr || in_metadata_ || field_ == "dtype") return fail("a list");
    HeaderEntry& entry = entries.find(name_)->second;
    array_ = &(field_ == "shape" ? entry.shape : entry.offsets).emplace();
    return true;
  }
  bool end_array() override { return array_ = nullptr, true; }
  bool number_unsigned(number_unsigned_t value) override {
    if (array_ == nullptr) return fail("a number");
    return array_->push_back(value), true;
  }
  bool number_integer(number_integer_t) override { return fail("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return fail("a number that is no integer of 64 bits");
  }
  bool boolean(bool) override { return fail("a truth value"); }
  bool null() override { return fail("null"); }
  bool binary(binary_t&) override { return fail("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    throw ContractError(fmt::format("{}: the header is not JSON at its byte {}", quote(path_), position));
  }

 private:
  [[noreturn]] bool fail(std::string_view found) const {
    if (level_ == 0)
      throw ContractError(fmt::format("{}: the header is {}, not an object", quote(path_), found));
    if (level_ == 1)
      throw ContractError(fmt::format("{}: {} is {}, not an object", quote(path_), quote(name_), found));
    throw ContractError(fmt::format("{}: {} of {} has {} where it may not be", quote(path_), quote(field_),
                                    quote(name_), found));
  }

  const std::string& path_;
  int level_ = 0;  // open objects
  std::string name_, field_;
  bool in_metadata_ = false, metadata_seen_ = false;
  std::vector<std::uint64_t>* array_ = nullptr;  // the open list
};

}  // namespace

SafetensorsFile SafetensorsFile::parse(std::string bytes, const std::string& path) {
  SafetensorsFile file;
  file.path_ = path;
  file.bytes_ = std::make_unique<const std::string>(std::move(bytes));
  const std::string_view all = *file.bytes_;
  require(all.size() >= kLengthBytes,
          "{}: {} bytes are less than the 8 of a safetensors file's header length", quote(path), all.size());
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, all.data(), kLengthBytes);
  require(header_bytes <= all.size() - kLengthBytes && header_bytes <= kMaxHeaderBytes,
          "{}: the header claims {} bytes; the file has {} behind its length, and at most {} are allowed",
          quote(path), header_bytes, all.size() - kLengthBytes, kMaxHeaderBytes);
  const std::string_view header = all.substr(kLengthBytes, header_bytes);
  const std::string_view data = all.substr(kLengthBytes + header_bytes);
  HeaderReader reader(path);
  nlohmann::json::sax_parse(header.begin(), header.end(), &reader);
  file.metadata_ = std::move(reader.metadata);

  std::vector<std::pair<std::pair<std::uint64_t, std::uint64_t>, std::string_view>> ranges;
  for (auto& [name, entry] : reader.entries) {
    const std::vector<std::uint64_t>& offsets = *entry.offsets;
    require(offsets.size() == 2 && offsets[0] <= offsets[1] && offsets[1] <= data.size(),
            "{}: data_offsets of tensor {} are [{}]; they must be [begin, end] with begin <= end <= {}, the "
            "data's bytes",
            quote(path), quote(name),
            fmt::join(offsets.begin(), offsets.begin() + std::min<std::size_t>(offsets.size(), 4), ", "),
            data.size());
    ranges.push_back({{offsets[0], offsets[1]}, name});
    const std::optional<Dtype> dtype = dtype_of(*entry.dtype);
    if (!dtype || dtype_name(*dtype) != *entry.dtype) {  // an 8-bit float, say: refused if it is asked for
      file.unread_.emplace(name, std::move(*entry.dtype));
      continue;
    }
    std::uint64_t size = 0;
    require(tensor_bytes(*dtype, *entry.shape, size), "{}: the shape of tensor {} has more than 2^64 bytes",
            quote(path), quote(name));
    require(size == offsets[1] - offsets[0],
            "{}: tensor {} has {} bytes by its shape and dtype, {} by its data_offsets", quote(path),
            quote(name), size, offsets[1] - offsets[0]);
    file.tensors_.emplace(name, TensorView{*dtype, std::move(*entry.shape), data.substr(offsets[0], size)});
  }
  std::sort(ranges.begin(), ranges.end());
  std::uint64_t covered = 0;
  for (const auto& [range, name] : ranges) {
    require(range.first == covered, "{}: tensor {} begins at data byte {}, the one before it ends at {}: {}",
            quote(path), quote(name), range.first, covered,
            range.first < covered ? "they overlap" : "a hole");
    covered = range.second;
  }
  require(covered == data.size(), "{}: the tensors end at data byte {}, the file has {}", quote(path),
          covered, data.size());
  return file;
}

SafetensorsFile SafetensorsFile::load(const std::string& path) {
  return parse(read_whole(path), path);
}

const TensorView& SafetensorsFile::tensor(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  const auto unread = unread_.find(name);
  require(unread == unread_.end(), "{}: tensor {} has the unknown dtype {}", quote(path_), quote(name),
          unread == unread_.end() ? "" : quote(unread->second));
  constexpr std::size_t kMaxNames = 4096,
                        kMaxNameBytes = 128;  // the search is quadratic in hostile lengths
  std::vector<std::string> names;
  for (const auto& entry : tensors_) {
    if (names.size() < kMaxNames && std::max(entry.first.size(), name.size()) <= kMaxNameBytes) {
      names.push_back(entry.first);
    }
  }
  throw ContractError(fmt::format("{} has no tensor {}{}", quote(path_), quote(name),
                                  names.empty() ? "" : "; nearest is " + quote(nearest_name(name, names))));
}

std::string write_safetensors(const Tensors& tensors, const TensorMetadata& metadata) {
  std::vector<const Tensors::value_type*> order;
  for (const auto& entry : tensors) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return element_bytes(a->second.dtype) > element_bytes(b->second.dtype);
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadata)] = metadata;
  std::uint64_t end = 0;
  for (const auto* entry : order) {
    const auto& [name, tensor] = *entry;
    std::uint64_t size = 0;
    require(
        name != kMetadata && tensor_bytes(tensor.dtype, tensor.shape, size) && size == tensor.bytes.size(),
        "tensor {}: {} bytes do not match its shape and dtype", quote(name), tensor.bytes.size());
    header[name] = {
        {"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {end, end + size}}};
    end += size;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::type_error&) {
    throw ContractError("names of tensors and metadata are stored as UTF-8; one of them is not");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begin aligned; the format allows spaces here
  const std::uint64_t header_bytes = text.size();
  require(header_bytes <= kMaxHeaderBytes, "a header of {} bytes; at most {} are allowed", header_bytes,
          kMaxHeaderBytes);
  std::string out(kLengthBytes, '\0');
  std::memcpy(out.data(), &header_bytes, kLengthBytes);
  out.reserve(kLengthBytes + header_bytes + end);
  out += text;
  for (const auto* entry : order) out += entry->second.bytes;
  return out;
}

}  // namespace roundtrip::anna
