# roundtrip_layer(name SOURCES files... [HEADERS files...] DEPENDS targets...): one static library per folder,
# `roundtrip::name`, file name libroundtrip_name.a (another Debian package owns libmpc). HEADERS are the public ones:
# they alone are installed, and what they include must be among them (tests/rules, tests/consumer). Flags are set on
# targets, never globally.
add_library(roundtrip_options INTERFACE)
target_compile_features(roundtrip_options INTERFACE cxx_std_20)
# Results must be equal bit for bit everywhere: no contraction of a*b+c, no -ffast-math.
target_compile_options(roundtrip_options INTERFACE -ffp-contract=off)
add_library(roundtrip_private_options INTERFACE)
target_compile_options(roundtrip_private_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                       $<$<BOOL:${ROUNDTRIP_WARNINGS_AS_ERRORS}>:-Werror>)
# GCC 12 warns of an overlap in std::string's own operator+ at -O3 (its bug 105651, mended in 13).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(roundtrip_private_options INTERFACE -Wno-restrict)
endif()
if(ROUNDTRIP_ASSERTIONS)
  # On the exported options: headers must mean the same to our targets and to those that use them.
  target_compile_definitions(roundtrip_options INTERFACE ROUNDTRIP_ASSERTIONS=1 _GLIBCXX_ASSERTIONS=1)
endif()
if(ROUNDTRIP_FAULTS)
  target_compile_definitions(roundtrip_private_options INTERFACE ROUNDTRIP_FAULTS=1)
endif()
if(ROUNDTRIP_SANITIZE STREQUAL "address")
  # Undefined behaviour is looked for in the layers alone: in the templates of tests it takes half the compile time.
  target_compile_options(roundtrip_options INTERFACE -fsanitize=address -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(roundtrip_options INTERFACE -fsanitize=address,undefined)
elseif(ROUNDTRIP_SANITIZE STREQUAL "thread")
  target_compile_options(roundtrip_options INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(roundtrip_options INTERFACE -fsanitize=thread)
elseif(ROUNDTRIP_SANITIZE)
  message(FATAL_ERROR "ROUNDTRIP_SANITIZE is '${ROUNDTRIP_SANITIZE}'; allowed are address, thread and nothing")
endif()

# Headers are included as roundtrip/LAYER/.., here as in a project that uses the installed package: folders of its own
# named mpc/ or base/ are then never taken for ours.
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include)
file(CREATE_LINK ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/include/roundtrip SYMBOLIC)

function(roundtrip_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(roundtrip_${name} STATIC ${ARG_SOURCES})
  add_library(roundtrip::${name} ALIAS roundtrip_${name})
  if(ROUNDTRIP_SANITIZE STREQUAL "address")
    target_compile_options(roundtrip_${name} PRIVATE -fsanitize=undefined)
  endif()
  set_target_properties(roundtrip_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  list(TRANSFORM ARG_HEADERS PREPEND ${PROJECT_BINARY_DIR}/include/roundtrip/${name}/)
  target_sources(roundtrip_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_BINARY_DIR}/include FILES ${ARG_HEADERS})
  target_link_libraries(roundtrip_${name} PUBLIC roundtrip_options ${ARG_DEPENDS}
                        PRIVATE $<BUILD_INTERFACE:roundtrip_private_options> ${ARG_PRIVATE_DEPENDS})
  if(ROUNDTRIP_PRECOMPILE)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # GCC forgets that precompiled headers are the system's, and so warns inside of them
      target_compile_options(roundtrip_${name} PRIVATE -fpch-preprocess -Wno-array-bounds -Wno-stringop-overflow
                             -Wno-stringop-overread)
    endif()
    target_precompile_headers(roundtrip_${name} PRIVATE <algorithm> <functional> <map> <memory> <memory_resource> <optional>
                              <span> <string> <vector> <fmt/format.h>)
  endif()
  set_property(GLOBAL APPEND PROPERTY ROUNDTRIP_LAYERS ${name})
endfunction()
