# What `cmake --install` puts in place: the libraries, the headers, the CMake package, leat.pc, and the command when it was
# built. Everything installed is found relative to itself, so that the prefix may be chosen, or the tree moved, afterwards.
# tests/install builds consumers against the result.

install(TARGETS leat leat_static EXPORT leat-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# The libraries on top of it, each of which finds libleat beside itself.
set(leat_components remote)
set(leat_not_installed PATTERN uv.h EXCLUDE)
if(LEAT_BUILD_UV)
    list(APPEND leat_components uv)
    set(leat_not_installed "")
endif()
foreach(component IN LISTS leat_components)
    set_target_properties(leat_${component} PROPERTIES INSTALL_RPATH "$ORIGIN")
    install(TARGETS leat_${component} leat_${component}_static EXPORT leat-${component}-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endforeach()
install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include/leat DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h" ${leat_not_installed})

# find_package(leat) gives leat::leat and leat::leat_static, the names that a build which includes leat's tree uses too;
# find_package(leat COMPONENTS remote uv) leat::leat_remote, leat::leat_uv and their _static besides.
set(leat_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/leat)
install(EXPORT leat-targets NAMESPACE leat:: DESTINATION ${leat_package_dir})
foreach(component IN LISTS leat_components)
    install(EXPORT leat-${component}-targets NAMESPACE leat:: DESTINATION ${leat_package_dir})
endforeach()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/leat-config.cmake.in
    ${CMAKE_CURRENT_BINARY_DIR}/leat-config.cmake
    INSTALL_DESTINATION ${leat_package_dir}
    NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0 the interface may change with the minor number (leat/base.h).
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/leat-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/leat-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/leat-config-version.cmake
    DESTINATION ${leat_package_dir})

# pkg-config: the directories as seen from leat.pc itself, or as they are when the packager gave absolute ones.
foreach(dir LIBDIR INCLUDEDIR)
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
        set(LEAT_PC_${dir} "${CMAKE_INSTALL_${dir}}")
    else()
        set(LEAT_PC_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
    endif()
endforeach()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(LEAT_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
else()
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(LEAT_PC_PREFIX "\${pcfiledir}/${up}")
endif()
set(LEAT_PC_LIBS_PRIVATE "${CMAKE_THREAD_LIBS_INIT}")
set(leat_pc_files leat)
foreach(component IN LISTS leat_components)
    list(APPEND leat_pc_files leat_${component})
endforeach()
foreach(name IN LISTS leat_pc_files)
    configure_file(${CMAKE_CURRENT_LIST_DIR}/${name}.pc.in ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# The command (tools/ installs it) and libleat_uv find libleat relative to themselves, wherever the tree is. Packagers who
# forbid that give CMAKE_SKIP_INSTALL_RPATH.
if(TARGET leat_uv)
    set_target_properties(leat_uv PROPERTIES INSTALL_RPATH "$ORIGIN")
endif()
if(TARGET leat_command)
    file(RELATIVE_PATH lib_from_bin "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
    set_target_properties(leat_command PROPERTIES INSTALL_RPATH "$ORIGIN/${lib_from_bin}")
endif()
