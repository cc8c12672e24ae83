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
