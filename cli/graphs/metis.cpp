// METIS (Karypis, manual 5.1, section 4.1.1): "n m [fmt [ncon]]", then n lines; line i has, as the digits of fmt say, the
// size and the ncon weights of vertex i, then its neighbours, each with the edge's weight behind it. Each edge stands at
// both of its ends; here it is delivered from the lesser one. % begins a comment; an empty line is a vertex without edges.
#include <algorithm>

#include "roundtrip/cli/graphs/format.h"

namespace roundtrip::cli {
namespace {

class Metis final : public GraphFormat {
 public:
  explicit Metis(GraphSink& sink) : sink_(sink) {}

  void line(std::uint64_t number, std::string_view text) override {
    const std::string_view line = trim(text);
    if (is_comment(line)) return;
    if (header_.empty()) {
      if (line.empty()) return;
      header_ = *metis_header(line);  // the format was told by it
      sink_.declare_vertices(header_[0]);
      if (header_.size() > 2 && header_[2] != 0) sink_.note("weights and sizes are ignored");
      return;
    }
    if (vertex_ == header_[0] && line.empty()) return;
    const auto neighbours = vertex_ < header_[0] ? metis_neighbours(header_, line) : std::nullopt;
    if (!neighbours)
      sink_.refuse(number, text, fmt::format("the neighbours of a vertex 1 .. {}", header_[0]));
    ++vertex_;
    for (const std::uint64_t neighbour : *neighbours) {
      if (vertex_ < neighbour) sink_.edge(std::to_string(vertex_), std::to_string(neighbour));
    }
  }

  void end() override {}  // counted before the format was told

 private:
  GraphSink& sink_;
  std::vector<std::uint64_t> header_;
  std::uint64_t vertex_ = 0;
};

}  // namespace

std::optional<std::vector<std::uint64_t>> metis_header(std::string_view line) {
  std::vector<std::uint64_t> header;
  for (const std::string_view word : tokens_of(line)) {
    const auto value = whole_number(word);
    if (!value) return std::nullopt;
    header.push_back(*value);
  }
  if (header.size() < 2 || header.size() > 4) return std::nullopt;
  const std::uint64_t n = header[0], m = header[1];
  constexpr std::uint64_t kFormats[] = {0, 1, 10, 11, 100, 101, 110, 111};
  const bool possible = n >= 1 && n < std::uint64_t{1} << 32 && m <= n * (n - 1) / 2 &&
                        (header.size() < 3 || std::ranges::count(kFormats, header[2]) == 1) &&
                        (header.size() < 4 || (header[3] >= 1 && header[3] < 1000));
  return possible ? std::optional(header) : std::nullopt;
}

std::optional<std::vector<std::uint64_t>> metis_neighbours(const std::vector<std::uint64_t>& header,
                                                           std::string_view line) {
  const std::uint64_t format = header.size() > 2 ? header[2] : 0;
  const std::size_t weights = (format / 10 % 10) * (header.size() > 3 ? header[3] : 1);
  const std::size_t before = weights + format / 100;
  const std::size_t step = 1 + format % 10;
  const std::vector<std::string_view> words = tokens_of(line);
  if (words.size() < before || (words.size() - before) % step != 0) return std::nullopt;
  std::vector<std::uint64_t> neighbours;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto value = whole_number(words[i]);
    if (!value) return std::nullopt;
    if (i < before || (i - before) % step != 0) continue;
    if (*value < 1 || *value > header[0]) return std::nullopt;
    neighbours.push_back(*value);
  }
  return neighbours;
}

MetisCheck::Answer MetisCheck::add(std::string_view line) {
  if (no_) return Answer::kNo;
  no_ = true;  // unless all is well
  if (!header_) {
    header_ = metis_header(line);
    if (!header_) return Answer::kNo;
    no_ = false;
    return Answer::kNotYet;
  }
  const std::uint64_t n = (*header_)[0], m = (*header_)[1];
  const auto neighbours = metis_neighbours(*header_, line);
  if (!neighbours) return Answer::kNo;
  ++vertices_;
  for (const std::uint64_t neighbour : *neighbours) {
    if (neighbour == vertices_ || ends_.size() == 2 * m) return Answer::kNo;
    ends_.emplace_back(vertices_, neighbour);
  }
  no_ = false;
  if (vertices_ < n) return Answer::kNotYet;
  auto reversed = ends_;
  for (auto& [u, v] : reversed) std::swap(u, v);
  std::ranges::sort(ends_);
  std::ranges::sort(reversed);
  no_ = ends_ != reversed || ends_.size() != 2 * m || std::ranges::adjacent_find(ends_) != ends_.end();
  return no_ ? Answer::kNo : Answer::kYes;
}

std::unique_ptr<GraphFormat> make_metis(GraphSink& sink) {
  return std::make_unique<Metis>(sink);
}

}  // namespace roundtrip::cli
