// Matrix Market coordinates (Boisvert, Pozo, Remington 1996): %%MatrixMarket matrix coordinate FIELD SYMMETRY, comments,
// rows, columns and entries, then a line for each entry: row, column and as many numbers as the field says. Row i and
// column i of a square matrix are one vertex.
#include <algorithm>

#include "roundtrip/cli/graphs/format.h"

namespace roundtrip::cli {
namespace {

class MatrixMarket final : public GraphFormat {
 public:
  explicit MatrixMarket(GraphSink& sink) : sink_(sink) {}

  void line(std::uint64_t number, std::string_view text) override {
    const std::vector<std::string_view> words = tokens_of(text);
    if (number == 1) return header(text, words);
    if (words.empty() || words[0].starts_with('%')) return;
    if (!sized_) return sizes(number, text, words);
    const bool complete = words.size() == 2 + values_;
    const std::uint64_t row = complete ? whole_number(words[0]).value_or(0) : 0;
    const std::uint64_t column = complete ? whole_number(words[1]).value_or(0) : 0;
    if (row < 1 || row > rows_ || column < 1 || column > columns_ ||
        !std::ranges::all_of(words.begin() + 2, words.end(), is_value)) {
      sink_.refuse(number, text,
                   fmt::format("an entry: row 1 .. {}, column 1 .. {}{}", rows_, columns_,
                               values_ == 0   ? ""
                               : values_ == 1 ? ", a number"
                                              : ", two numbers"));
    }
    if (sink_.edges() == entries_)
      sink_.refuse(number, text, fmt::format("announced: there are to be {}", entries_));
    sink_.edge(std::to_string(row),
               rows_ == columns_ ? std::to_string(column) : "column:" + std::to_string(column));
  }

  void end() override {
    if (!sized_) sink_.refuse("ends before its line of rows, columns and entries");
    if (sink_.edges() != entries_) {
      sink_.refuse(fmt::format("has {} entries, its line of sizes announces {}", sink_.edges(), entries_));
    }
  }

 private:
  void header(std::string_view text, const std::vector<std::string_view>& words) {
    std::vector<std::string> lower;
    for (const std::string_view word : words) lower.push_back(lower_case(word));
    const bool matrix = lower.size() == 5 && lower[1] == "matrix" && lower[2] == "coordinate";
    const std::string field = matrix ? lower[3] : "";
    const bool real =
        field == "real" || field == "double" || field == "integer" || field == "unsigned-integer";
    symmetric_ = matrix && lower[4] != "general";
    const bool symmetry = matrix && (!symmetric_ || lower[4] == "symmetric" || lower[4] == "skew-symmetric" ||
                                     lower[4] == "hermitian");
    if (!symmetry || !(real || field == "pattern" || field == "complex"))
      sink_.refuse(1, text, "a header of Matrix Market coordinates");
    values_ = real ? 1 : field == "complex" ? 2 : 0;
    if (values_ > 0) sink_.note("the values of the matrix are ignored");
  }

  void sizes(std::uint64_t number, std::string_view text, const std::vector<std::string_view>& words) {
    const bool three = words.size() == 3;
    const auto rows = three ? whole_number(words[0]) : std::nullopt;
    const auto columns = three ? whole_number(words[1]) : std::nullopt;
    const auto entries = three ? whole_number(words[2]) : std::nullopt;
    if (!rows || !columns || !entries) sink_.refuse(number, text, "rows, columns and entries");
    if (symmetric_ && *rows != *columns)
      sink_.refuse(number, text, "the size of a symmetric matrix, which is square");
    rows_ = *rows, columns_ = *columns, entries_ = *entries, sized_ = true;
    const bool square = rows_ == columns_;
    sink_.declare_vertices(square ? rows_ : rows_ + columns_);
    if (!square) sink_.note("rows and columns of the matrix are different vertices: column j is column:j");
  }

  static bool is_value(std::string_view word) {
    std::string text(word);  // Fortran writes 1.0D+00
    std::ranges::replace(text, 'D', 'e');
    std::ranges::replace(text, 'd', 'e');
    return is_number(text);
  }

  GraphSink& sink_;
  bool sized_ = false, symmetric_ = false;
  std::size_t values_ = 0;  // of an entry
  std::uint64_t rows_ = 0, columns_ = 0, entries_ = 0;
};

}  // namespace

std::unique_ptr<GraphFormat> make_matrix_market(GraphSink& sink) {
  return std::make_unique<MatrixMarket>(sink);
}

}  // namespace roundtrip::cli
