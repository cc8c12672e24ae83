# Install, export and the config package; tests/consumer builds against the result.
include(CMakePackageConfigHelpers)
get_property(layers GLOBAL PROPERTY ROUNDTRIP_LAYERS)
set(targets roundtrip_options)
foreach(layer ${layers})
  list(APPEND targets roundtrip_${layer})
endforeach()
set_target_properties(roundtrip_options PROPERTIES EXPORT_NAME options)
install(TARGETS ${targets} EXPORT roundtrip_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT roundtrip_targets NAMESPACE roundtrip:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/roundtrip)
configure_package_config_file(cmake/roundtrip-config.cmake.in roundtrip-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/roundtrip)
write_basic_package_version_file(roundtrip-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/roundtrip-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/roundtrip-config-version.cmake
              cmake/roundtrip_dependencies.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/roundtrip)
install(TARGETS roundtrip RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_BINARY_DIR}/cli/roundtrip.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PROJECT_BINARY_DIR}/cli/roundtrip.bash RENAME roundtrip
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PROJECT_SOURCE_DIR}/cli/roundtrip.zsh RENAME _roundtrip
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(PROGRAMS ${PROJECT_SOURCE_DIR}/proofs_check/check_certificate.py DESTINATION ${CMAKE_INSTALL_DATADIR}/roundtrip)

# A Debian package: `cpack -G DEB` in the build folder, then `apt install ./roundtrip_*.deb`. What the program needs is read
# from the program itself; programs that are built against the libraries need what a build does. tests/consumer tries it.
set(CPACK_PACKAGE_NAME roundtrip)
set(CPACK_PACKAGE_CONTACT "The Roundtrip authors <roundtrip@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "MPC protocols and ANNA-transformers, each compiled to the other")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS openmpi-bin)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3, python3-numpy, libopenblas0")
file(STRINGS ${PROJECT_SOURCE_DIR}/cmake/packages.txt suggested REGEX "^build ")
list(TRANSFORM suggested REPLACE "^build " "")
list(JOIN suggested ", " CPACK_DEBIAN_PACKAGE_SUGGESTS)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
# Where README's links expect them.
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs ${PROJECT_SOURCE_DIR}/examples DESTINATION ${CMAKE_INSTALL_DOCDIR}
        PATTERN CMakeLists.txt EXCLUDE PATTERN __pycache__ EXCLUDE)
include(CPack)
