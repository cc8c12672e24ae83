// The translation unit that owns the precompiled test headers; see tests/CMakeLists.txt.
