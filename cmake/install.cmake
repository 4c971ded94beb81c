# What `cmake --install` copies: the program, the library, its headers, and the package for find_package(trainhost).
include(CMakePackageConfigHelpers)

set_target_properties(libtrainhost PROPERTIES INSTALL_RPATH "${TRAINHOST_TORCH_DIR}/lib")
set_target_properties(trainhost PROPERTIES INSTALL_RPATH "${TRAINHOST_TORCH_DIR}/lib")
install(TARGETS trainhost RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS libtrainhost EXPORT trainhost LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# <trainhost/trainhost.h>: inside the repository headers are included by their path from its root.
foreach(header trainhost.h base/error.h)
  file(READ ${PROJECT_SOURCE_DIR}/host/${header} text)
  string(REPLACE "#include \"host/" "#include \"trainhost/" text "${text}")
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/include/trainhost/${header} CONTENT "${text}" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/host/${header})
endforeach()
install(DIRECTORY ${PROJECT_BINARY_DIR}/include/trainhost DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/trainhost)
install(EXPORT trainhost NAMESPACE trainhost:: DESTINATION ${package} FILE trainhostTargets.cmake)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/trainhostConfig.cmake.in
  ${PROJECT_BINARY_DIR}/trainhostConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/trainhostConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/trainhostConfig.cmake ${PROJECT_BINARY_DIR}/trainhostConfigVersion.cmake
  DESTINATION ${package})
