// Purpose: a table of text cells as CSV that a later call goes on with, as JSON, and as a page with plots.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "roundtrip/proofs_check/report/plot.h"

namespace roundtrip::cli {

using Cells = std::vector<std::string>;

struct Table {
  Cells columns;
  std::size_t keys = 0;  ///< the first of them: what was asked for
  std::vector<Cells> rows;
};

/// ContractError naming the flag if an item is empty.
std::vector<std::string> list_of(const std::string& flag, const std::string& text);

std::string csv_text(const Table& table);
/// Rows of an earlier call, by key, none for standard output or a new file; ContractError naming `flag` for a file that is
/// another table.
std::map<Cells, Cells> finished_rows(const std::string& path, const Table& table,
                                     const std::string& flag = "--csv");
/// `table` and the rows of `finished` that it does not have to `path`.
void write_rows(const std::string& path, const Table& table, const std::map<Cells, Cells>& finished);

/// Digits alone, a number that JSON holds exactly.
bool is_number(const std::string& cell);
/// {"schema": .., "rows": [..]}: empty cells left out; what was measured and is a number, one.
nlohmann::ordered_json table_json(const std::string& schema, const Table& table);
/// A page without scripts: the plots, and the table.
std::string table_page(const std::string& title, const std::vector<proofs_check::Plot>& plots,
                       const Table& table);

}  // namespace roundtrip::cli
