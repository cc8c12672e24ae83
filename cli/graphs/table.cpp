// A line for each edge, or for each vertex and its neighbours. The first lines say which, and what separates the fields:
//   a tab, comma or semicolon in the first line, else white space;
//   a first line without numbers above one that begins with two, or with the names that columns of ends have: it names
//   the columns;
//   lines of two fields: pairs; of more, all alike: further columns; lines that differ, of integers: adjacency lists.
#include <algorithm>
#include <array>
#include <deque>

#include "roundtrip/cli/graphs/format.h"

namespace roundtrip::cli {
namespace {

/// Lines with further fields that are looked at before they count as columns.
constexpr std::size_t kLinesAhead = 16;

constexpr std::array<std::string_view, 9> kSourceNames = {"source",     "from", "src", "node1", "node_1",
                                                          "fromnodeid", "tail", "id1", "id_1"};
constexpr std::array<std::string_view, 10> kTargetNames = {"target", "to",       "dst",  "dest", "node2",
                                                           "node_2", "tonodeid", "head", "id2",  "id_2"};

class Table final : public GraphFormat {
 public:
  explicit Table(GraphSink& sink) : sink_(sink) {}

  void line(std::uint64_t number, std::string_view text) override {
    const std::string_view line = trim(text);
    if (line.empty()) return;
    if (is_comment(line)) return comment(number, line);
    ++data_lines_;
    if (kind_ != Kind::kUnknown) return row(number, text);
    first_.push_back({number, std::string(text)});
    if (decide(false)) replay();
  }

  void end() override {
    if (kind_ == Kind::kUnknown && !first_.empty()) {
      decide(true);
      replay();
    }
    if (announced_edges_ && *announced_edges_ != rows_)
      sink_.note(fmt::format("a comment announces {} edges, there are {}", *announced_edges_, rows_));
  }

 private:
  enum class Kind : std::uint8_t { kUnknown, kColumns, kAdjacency };

  /// What comments of SNAP ("# Nodes: 4 Edges: 3") and KONECT ("% bip weighted", "% edges vertices [vertices]") declare.
  void comment(std::uint64_t number, std::string_view line) {
    const std::vector<std::string_view> words = tokens_of(line);
    if (line == "#" && data_lines_ > 0)
      sink_.refuse(number, line,
                   "an edge: after vertices this is the Trivial Graph Format, which is not read");
    if (data_lines_ > 0) return;
    if (words.size() >= 3 && words[0] == "%" &&
        (words[1] == "sym" || words[1] == "asym" || words[1] == "bip")) {
      konect_ = true;
      two_sides_ = words[1] == "bip";
      if (two_sides_) sink_.note("the two sides are different vertices: v of the right one is right:v");
    } else if (konect_ && words.size() >= 3) {
      const auto edges = whole_number(words[1]), left = whole_number(words[2]);
      const auto right = words.size() > 3 ? whole_number(words[3]) : left;
      if (!edges || !left || !right) return;
      announced_edges_ = edges;
      sink_.declare_vertices(two_sides_ ? *left + *right : std::max(*left, *right));
    }
    for (std::size_t i = 1; i + 1 < words.size(); ++i) {
      const auto count = whole_number(words[i + 1]);
      if (count && words[0].starts_with('#') && words[i] == "Nodes:") sink_.declare_vertices(*count);
      if (count && words[0].starts_with('#') && words[i] == "Edges:") announced_edges_ = count;
    }
  }

  /// The fields of a line; they live until the next call.
  const std::vector<std::string_view>& split(std::uint64_t number, std::string_view line) {
    fields_.clear();
    unquoted_.clear();
    std::string_view rest = line;
    const auto skip_blanks = [&] {
      while (!rest.empty() && is_space(rest[0]) && rest[0] != (separator_ == ' ' ? '\0' : separator_))
        rest.remove_prefix(1);
    };
    for (bool more = true; more;) {
      skip_blanks();
      if (rest.starts_with('"')) {
        fields_.push_back(unquoted(number, line, rest));
      } else {
        std::size_t end = 0;
        while (end < rest.size() && (separator_ == ' ' ? !is_space(rest[end]) : rest[end] != separator_))
          ++end;
        fields_.push_back(trim(rest.substr(0, end)));
        rest.remove_prefix(end);
      }
      skip_blanks();
      more = !rest.empty();
      if (!more || separator_ == ' ') continue;
      if (rest[0] != separator_) sink_.refuse(number, line, "a line of fields: one goes on after its quotes");
      rest.remove_prefix(1);
    }
    // Some programs end each line with a separator.
    if (separator_ != ' ' && fields_.size() > 2 && fields_.back().empty()) fields_.pop_back();
    return fields_;
  }

  /// The text in the quotes that `rest` begins with, which moves behind them; a quote in it is doubled.
  std::string_view unquoted(std::uint64_t number, std::string_view line, std::string_view& rest) {
    std::string& text = unquoted_.emplace_back();
    std::size_t at = 1;
    for (; at < rest.size(); ++at) {
      if (rest[at] == '"' && rest.substr(at + 1, 1) != "\"") break;
      at += rest[at] == '"';
      text += rest[at];
    }
    if (at >= rest.size()) sink_.refuse(number, line, "closed: it has a quote without its other one");
    rest.remove_prefix(at + 1);
    return text;
  }

  static char separator_of(std::string_view line) {
    bool quoted = false;
    char found = ' ';
    for (const char c : line) {
      if (c == '"') quoted = !quoted;
      if (quoted) continue;
      if (c == ',' || c == ';') return c;
      if (c == '\t') found = '\t';
    }
    // White space of either kind separates numbers; a name between tabs may have blanks.
    const std::vector<std::string_view> words = tokens_of(line);
    return found == '\t' && !std::ranges::all_of(words, is_number) ? '\t' : ' ';
  }

  /// Whether the lines so far, all there are if `all`, tell what they are.
  bool decide(bool all) {
    const KeptLine& first = first_.front();
    if (first_.size() == 1) separator_ = konect_ ? ' ' : separator_of(trim(first.text));
    const std::vector<std::string_view>* fields = &split(first.number, first.text);
    const bool names = !konect_ && fields->size() >= 2 && std::ranges::none_of(*fields, is_number) &&
                       !fields->front().ends_with(':');
    if (names && !headed_) {
      const auto place = [&](const auto& known) {
        const auto found = std::ranges::find_if(*fields, [&](std::string_view field) {
          return std::ranges::find(known, lower_case(field)) != known.end();
        });
        return static_cast<std::size_t>(found - fields->begin());
      };
      const std::size_t from = place(kSourceNames), to = place(kTargetNames);
      headed_ = from < fields->size() && to < fields->size();
      if (headed_) source_ = from, target_ = to;
      if (!headed_) {
        if (first_.size() < 2 && !all) return false;
        if (first_.size() >= 2) {
          const auto& second = split(first_[1].number, first_[1].text);
          headed_ = second.size() >= 2 && is_number(second[0]) && is_number(second[1]);
          fields = &split(first.number, first.text);
        }
      }
      if (headed_) {
        sink_.note(fmt::format("line {} names the columns; the ends of an edge are columns {} and {}",
                               first.number, source_ + 1, target_ + 1));
        columns_ = fields->size();
        kind_ = Kind::kColumns;
        first_.erase(first_.begin());
        return true;
      }
    }
    if (fields->front().ends_with(':')) return kind_ = Kind::kAdjacency, true;
    columns_ = fields->size();
    if (columns_ < 2) sink_.refuse(first.number, first.text, "two vertices");
    integers_ = integers(*fields);
    const bool further_numbers = std::all_of(fields->begin() + 2, fields->end(), [&](std::string_view field) {
      std::string number(field);
      if (separator_ == ';') std::ranges::replace(number, ',', '.');  // where the decimal sign is a comma
      return is_number(number);
    });
    if (!further_numbers)
      sink_.refuse(first.number, first.text,
                   "two vertices and numbers, which is what further columns may be");
    const auto& last = split(first_.back().number, first_.back().text);
    if (columns_ > 2 && last.size() != columns_ && integers_) return kind_ = Kind::kAdjacency, true;
    if (columns_ == 2 || konect_ || !integers_ || all || first_.size() == kLinesAhead)
      return kind_ = Kind::kColumns, true;
    return false;
  }

  static bool integers(const std::vector<std::string_view>& fields) {
    return std::ranges::all_of(fields,
                               [](std::string_view field) { return whole_number(field).has_value(); });
  }

  void replay() {
    for (const KeptLine& line : first_) {
      if (!sink_.full()) row(line.number, line.text);
    }
    first_.clear();
  }

  void row(std::uint64_t number, std::string_view line) {
    const std::vector<std::string_view>& fields = split(number, line);
    if (kind_ == Kind::kColumns && fields.size() != columns_) {
      // Lists that began with vertices of one neighbour, which are pairs, too.
      const bool lists = columns_ == 2 && !headed_ && integers_ && fields.size() > 2 && integers(fields);
      if (fields.size() < 2) sink_.refuse(number, line, "two vertices");
      if (!lists) {
        sink_.refuse(number, line,
                     fmt::format("a line of {} fields, as those before: it has {}", columns_, fields.size()));
      }
      kind_ = Kind::kAdjacency;
    }
    const auto end_of_edge = [&](std::string_view vertex) {
      if (vertex.empty()) sink_.refuse(number, line, "an edge: an end of it is empty");
      return vertex;
    };
    if (kind_ == Kind::kColumns) {
      ++rows_;
      // Of three columns the one that is no end; of more the first of those.
      const std::size_t free = source_ > 0 && target_ > 0 ? 0 : source_ != 1 && target_ != 1 ? 1 : 2;
      const std::string_view weight = fields.size() > free ? fields[free] : std::string_view{};
      if (fields.size() > (sink_.weighted() ? 3 : 2))
        sink_.note("further columns (weights, times) are ignored");
      const std::string_view u = end_of_edge(fields[source_]), v = end_of_edge(fields[target_]);
      return two_sides_ ? sink_.edge(u, "right:" + std::string(v), weight) : sink_.edge(u, v, weight);
    }
    std::string_view u = end_of_edge(fields[0]);
    if (u.ends_with(':')) {
      u = end_of_edge(u.substr(0, u.size() - 1));
    } else if (!integers(fields)) {
      sink_.refuse(number, line, "a list of integers, as those before");
    }
    if (fields.size() == 1) sink_.vertex(u);
    rows_ += fields.size() - 1;
    for (std::size_t i = 1; i < fields.size(); ++i) sink_.edge(u, end_of_edge(fields[i]));
  }

  GraphSink& sink_;
  Kind kind_ = Kind::kUnknown;
  std::vector<KeptLine> first_;
  bool konect_ = false, two_sides_ = false;  // as declared in its comments
  bool headed_ = false;                      // the columns have names
  bool integers_ = false;                    // the first line has nothing else
  char separator_ = ' ';                     // any white space
  std::size_t columns_ = 0, source_ = 0, target_ = 1;
  std::uint64_t data_lines_ = 0, rows_ = 0;
  std::optional<std::uint64_t> announced_edges_;
  std::vector<std::string_view> fields_;
  std::deque<std::string> unquoted_;
};

}  // namespace

std::unique_ptr<GraphFormat> make_table(GraphSink& sink) {
  return std::make_unique<Table>(sink);
}

}  // namespace roundtrip::cli
