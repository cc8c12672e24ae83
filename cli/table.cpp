#include "roundtrip/cli/table.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/escape_html.h"

namespace roundtrip::cli {
namespace {

std::string csv_cell(const std::string& cell) {
  if (cell.find_first_of(",\"") == std::string::npos) return cell;
  std::string quoted = "\"";
  for (const char c : cell) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

Cells csv_line(const std::string& line) {
  Cells cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"')
        cells.back() += line[++i];
      else
        quoted = !quoted;
    } else if (line[i] == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += line[i];
    }
  }
  return cells;
}

/// A number with a point, as measured ones are written.
bool is_decimal(const std::string& cell) {
  return cell.find('.') != std::string::npos && nlohmann::json::accept(cell) &&
         cell.find_first_not_of("0123456789.e-+") == std::string::npos;
}

}  // namespace

std::vector<std::string> list_of(const std::string& flag, const std::string& text) {
  std::vector<std::string> items;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) items.push_back(item);
  require(!items.empty() && std::ranges::none_of(items, &std::string::empty),
          "{} '{}': expected values with commas between", flag, text);
  return items;
}

std::string csv_text(const Table& table) {
  std::string text;
  const auto add = [&](const Cells& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) text += (i == 0 ? "" : ",") + csv_cell(cells[i]);
    text += "\n";
  };
  add(table.columns);
  for (const Cells& row : table.rows) add(row);
  return text;
}

std::map<Cells, Cells> finished_rows(const std::string& path, const Table& table, const std::string& flag) {
  std::map<Cells, Cells> rows;
  if (path.empty() || path == "-" || !std::filesystem::is_regular_file(path)) return rows;
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return rows;
  require(csv_line(line) == table.columns, "{} {}: holds another table; give a new name, or the same flags",
          flag, path);
  while (std::getline(file, line)) {
    Cells cells = csv_line(line);
    require(cells.size() == table.columns.size(), "{} {}: a row has {} cells, expected {}", flag, path,
            cells.size(), table.columns.size());
    Cells key(cells.begin(), cells.begin() + static_cast<std::ptrdiff_t>(table.keys));
    rows.emplace(std::move(key), std::move(cells));
  }
  return rows;
}

void write_rows(const std::string& path, const Table& table, const std::map<Cells, Cells>& finished) {
  Table kept = table;
  for (const auto& [key, cells] : finished) {
    if (std::ranges::find(kept.rows, cells) == kept.rows.end()) kept.rows.push_back(cells);
  }
  write_whole(path, csv_text(kept));
}

bool is_number(const std::string& cell) {
  return !cell.empty() && cell.size() < 16 &&
         std::ranges::all_of(cell, [](char c) { return c >= '0' && c <= '9'; });
}

nlohmann::ordered_json table_json(const std::string& schema, const Table& table) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Cells& row : table.rows) {
    nlohmann::ordered_json entry = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (row[i].empty()) continue;
      if (is_number(row[i])) {
        entry[table.columns[i]] = std::stoull(row[i]);
      } else if (i >= table.keys && is_decimal(row[i])) {
        entry[table.columns[i]] = std::stod(row[i]);
      } else {
        entry[table.columns[i]] = row[i];
      }
    }
    rows.push_back(std::move(entry));
  }
  return {{"schema", schema}, {"rows", rows}};
}

std::string table_page(const std::string& title, const std::vector<proofs_check::Plot>& plots,
                       const Table& table) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><title>{0}</title><style>body{{font:1rem/1.4 "
      "system-ui,sans-serif;margin:1rem auto;max-width:76rem;padding:0 1rem}}svg{{width:100%;max-width:34rem;height:auto}}"
      "table{{border-collapse:collapse}}td,th{{text-align:right;padding:.1rem .5rem;border-bottom:1px solid #ccc}}"
      ".scroll{{overflow-x:auto}}</style></head><body><main><h1>{0}</h1>\n",
      escape_html(title));
  for (const proofs_check::Plot& plot : plots) html += proofs_check::svg(plot) + "\n";
  html += "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"The table\"><table><thead><tr>";
  for (const std::string& name : table.columns) html += "<th scope=\"col\">" + escape_html(name) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (const Cells& row : table.rows) {
    html += "<tr>";
    for (const std::string& cell : row) html += "<td>" + escape_html(cell) + "</td>";
    html += "</tr>\n";
  }
  return html + "</tbody></table></div></main></body></html>\n";
}

}  // namespace roundtrip::cli
