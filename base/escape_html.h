// Purpose: text of the user's inside the pages that explain and verify write.
#pragma once

#include <string>
#include <string_view>

namespace roundtrip {

/// The text as an element's content or a quoted attribute: it can end neither.
[[nodiscard]] std::string escape_html(std::string_view text);

}  // namespace roundtrip
