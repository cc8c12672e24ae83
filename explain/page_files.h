// Purpose: the files of explain/page, compiled in.
#pragma once

namespace roundtrip::explain {

extern const char* const kTemplate;
extern const char* const kStyle;
extern const char* const kEngine;
extern const char* const kStage;
extern const char* const kPuzzles;
extern const char* const kScript;

}  // namespace roundtrip::explain
