# The peers of kernel.h: those of the system always, libraries where their headers are found.
# Defines leat_bench_peers_kernel.

find_package(PkgConfig QUIET)

# Finds a library and its header, by pkg-config or by itself. Sets LEAT_BENCH_HAVE_<name> and LEAT_BENCH_<name>_LIBRARY.
function(leat_bench_find_peer name package header library advice)
    if(PKG_CONFIG_FOUND)
        pkg_check_modules(LEAT_BENCH_PC_${name} QUIET ${package})
    endif()
    find_path(LEAT_BENCH_${name}_INCLUDE ${header} HINTS ${LEAT_BENCH_PC_${name}_INCLUDE_DIRS}
        PATH_SUFFIXES iceoryx/v2.0.3) # where Debian has those of iceoryx
    find_library(LEAT_BENCH_${name}_LIBRARY ${library} HINTS ${LEAT_BENCH_PC_${name}_LIBRARY_DIRS})
    mark_as_advanced(LEAT_BENCH_${name}_INCLUDE LEAT_BENCH_${name}_LIBRARY)
    if(LEAT_BENCH_${name}_INCLUDE AND LEAT_BENCH_${name}_LIBRARY)
        set(LEAT_BENCH_HAVE_${name} TRUE PARENT_SCOPE)
    else()
        message(STATUS "leat_bench: no ${header} or no lib${library} (Debian: ${advice}): without that peer")
    endif()
endfunction()

set(leat_bench_peers_kernel_sources kernel.c unix_socket.c posix_mq.c raw_wait.c)
set(leat_bench_peers_kernel_definitions)
set(leat_bench_peers_kernel_includes)
set(leat_bench_peers_kernel_libraries)

# iceoryx needs its daemon, too.
set(leat_bench_peers_kernel_iceoryx)
find_program(LEAT_BENCH_ICEORYX_DAEMON iox-roudi)
mark_as_advanced(LEAT_BENCH_ICEORYX_DAEMON)
if(LEAT_BENCH_ICEORYX_DAEMON)
    list(APPEND leat_bench_peers_kernel_definitions "BENCH_ICEORYX_DAEMON=\"${LEAT_BENCH_ICEORYX_DAEMON}\"")
    set(leat_bench_peers_kernel_iceoryx
        "ICEORYX iceoryx_binding_c iceoryx_binding_c/api.h iceoryx_binding_c libiceoryx-binding-c-dev iceoryx.c")
else()
    message(STATUS "leat_bench: no iox-roudi (Debian: iceoryx): without that peer")
endif()

foreach(peer "ZEROMQ libzmq zmq.h zmq libzmq3-dev zeromq.c" "NNG nng nng/nng.h nng libnng-dev nng.c"
             "UV libuv uv.h uv libuv1-dev uv_pipe.c" ${leat_bench_peers_kernel_iceoryx})
    separate_arguments(peer)
    list(GET peer 0 name)
    list(POP_BACK peer source)
    leat_bench_find_peer(${peer})
    if(LEAT_BENCH_HAVE_${name})
        list(APPEND leat_bench_peers_kernel_sources ${source})
        list(APPEND leat_bench_peers_kernel_definitions BENCH_HAVE_${name})
        list(APPEND leat_bench_peers_kernel_includes ${LEAT_BENCH_${name}_INCLUDE})
        if(name MATCHES "^(NNG|ICEORYX)$") # loaded at run time: see nng.c, iceoryx.c
            list(APPEND leat_bench_peers_kernel_definitions "BENCH_${name}_LIBRARY=\"${LEAT_BENCH_${name}_LIBRARY}\"")
        else()
            list(APPEND leat_bench_peers_kernel_libraries ${LEAT_BENCH_${name}_LIBRARY})
        endif()
    endif()
endforeach()

list(TRANSFORM leat_bench_peers_kernel_sources PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
add_library(leat_bench_peers_kernel STATIC ${leat_bench_peers_kernel_sources})
target_include_directories(leat_bench_peers_kernel PUBLIC ${CMAKE_CURRENT_LIST_DIR} ${CMAKE_CURRENT_LIST_DIR}/..)
target_include_directories(leat_bench_peers_kernel SYSTEM PRIVATE ${leat_bench_peers_kernel_includes})
target_compile_definitions(leat_bench_peers_kernel PRIVATE ${leat_bench_peers_kernel_definitions})
target_link_libraries(leat_bench_peers_kernel PUBLIC leat_bench_harness
    PRIVATE leat_build_options ${leat_bench_peers_kernel_libraries} Threads::Threads ${CMAKE_DL_LIBS} rt)
