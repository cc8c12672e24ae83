#include "roundtrip/cli/certificate.h"

#include <zlib.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "roundtrip/base/ensure.h"
#include "roundtrip/base/error.h"
#include "roundtrip/simulate/compile/certificate.h"

namespace roundtrip::cli {
namespace {

/// Lines in, one gzip member out.
class Gzip {
 public:
  Gzip() {
    constexpr int kGzipFormat = 16 + MAX_WBITS, kMemoryLevel = 8;
    if (::deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipFormat, kMemoryLevel,
                       Z_DEFAULT_STRATEGY) != Z_OK)
      throw ContractError("out of memory to compress a certificate");
  }
  ~Gzip() { ::deflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  void text(std::string_view bytes) { deflate(bytes, Z_NO_FLUSH); }
  std::string finish() {
    deflate("", Z_FINISH);
    return std::move(bytes_);
  }

 private:
  void deflate(std::string_view text, int flush) {
    for (;;) {
      constexpr std::size_t kMost = std::size_t{1} << 30;  // what zlib counts in 32 bits
      const std::string_view part = text.substr(0, kMost);
      text.remove_prefix(part.size());
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
      stream_.avail_in = static_cast<uInt>(part.size());
      do {
        char buffer[1 << 16];
        stream_.next_out = reinterpret_cast<Bytef*>(buffer);
        stream_.avail_out = sizeof buffer;
        const int status = ::deflate(&stream_, text.empty() ? flush : Z_NO_FLUSH);
        ensure(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR,
               "zlib compresses any bytes");
        bytes_.append(buffer, sizeof buffer - stream_.avail_out);
      } while (stream_.avail_out == 0);
      if (text.empty()) return;
    }
  }

  z_stream stream_ = {};
  std::string bytes_;
};

}  // namespace

std::string certificate_bytes(const simulate::Compiled& compiled, std::string_view mechanism,
                              const Instance& instance, const Execution& execution,
                              const nlohmann::ordered_json& claims, const mpc::Outputs& outputs) {
  const mpc::Shape& shape = instance.shape();
  nlohmann::ordered_json head = {{"schema", "roundtrip/certificate/1"},
                                 {"protocol", instance.info->name},
                                 {"options", instance.parameters.options},
                                 {"construction", compiled.options.construction},
                                 {"shape",
                                  {{"n", shape.n},
                                   {"outputs", shape.outputs},
                                   {"block_words", shape.block_words},
                                   {"memory_words", shape.memory_words},
                                   {"machines", shape.machines},
                                   {"rounds", shape.rounds},
                                   {"word_bits", shape.word_bits},
                                   {"input_bits", shape.input_bits}}},
                                 {"claims", claims},
                                 {"input", execution.words},
                                 {"outputs", execution.result.outputs}};
  nlohmann::ordered_json& values = head["values"] = nlohmann::ordered_json::array();
  for (const auto& output : outputs) values.push_back(output ? nlohmann::ordered_json(*output) : nullptr);
  Gzip gzip;
  gzip.text(json_text(head, -1));
  simulate::write_certificate(compiled, mechanism, execution.words, [&](std::string_view line) {
    gzip.text(line);
    gzip.text("\n");
  });
  return gzip.finish();
}

}  // namespace roundtrip::cli
