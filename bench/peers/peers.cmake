# The peers of transports.h: those of the system always, libraries where they are found. Each is compiled into leat_bench.
# Debian has them in libck-dev, libreaderwriterqueue-dev, libqb-dev, libboost-dev, libzmq3-dev, libnng-dev, libuv1-dev and
# libiceoryx-binding-c-dev with iceoryx.

find_package(PkgConfig QUIET)
target_sources(leat_bench PRIVATE peers/kernel.c peers/posix_mq.c peers/raw_wait.c)
target_link_libraries(leat_bench PRIVATE Threads::Threads ${CMAKE_DL_LIBS} rt)

# leat_bench_peer(FILE HEADER LIBRARY HOW [PACKAGE]) adds a peer whose header was found, and whose library HOW is needed:
# `links` to it, `loads` it at run time (see library_load), or is `alone` in its headers.
function(leat_bench_peer file header library how)
    get_filename_component(name ${file} NAME_WE)
    string(TOUPPER ${name} name)
    if(PKG_CONFIG_FOUND AND ARGN)
        pkg_check_modules(LEAT_BENCH_PC_${name} QUIET ${ARGN})
    endif()
    find_path(LEAT_BENCH_${name}_INCLUDE ${header} HINTS ${LEAT_BENCH_PC_${name}_INCLUDE_DIRS}
        PATH_SUFFIXES readerwriterqueue iceoryx/v2.0.3) # where Debian has those two
    if(NOT how STREQUAL "alone")
        find_library(LEAT_BENCH_${name}_LIBRARY ${library} HINTS ${LEAT_BENCH_PC_${name}_LIBRARY_DIRS})
    endif()
    mark_as_advanced(LEAT_BENCH_${name}_INCLUDE LEAT_BENCH_${name}_LIBRARY)
    if(NOT LEAT_BENCH_${name}_INCLUDE OR NOT (how STREQUAL "alone" OR LEAT_BENCH_${name}_LIBRARY))
        message(STATUS "leat_bench: no ${header} or no lib${library}: without that peer")
        return()
    endif()
    if(file MATCHES "\\.cpp$") # with warnings of its own: those of leat_build_options are for C
        add_library(leat_bench_${name} OBJECT peers/${file})
        target_compile_features(leat_bench_${name} PRIVATE cxx_std_20)
        # A transport leaves out what stays zero, as in C.
        target_compile_options(leat_bench_${name} PRIVATE -Wall -Wextra -Wno-missing-field-initializers)
        if(LEAT_SANITIZE)
            target_compile_options(leat_bench_${name} PRIVATE -fsanitize=${LEAT_SANITIZE} -fno-sanitize-recover=all -g)
        endif()
        target_include_directories(leat_bench_${name} SYSTEM PRIVATE ${LEAT_BENCH_${name}_INCLUDE})
        target_sources(leat_bench PRIVATE $<TARGET_OBJECTS:leat_bench_${name}>)
        return()
    endif()
    target_sources(leat_bench PRIVATE peers/${file})
    target_include_directories(leat_bench SYSTEM PRIVATE ${LEAT_BENCH_${name}_INCLUDE})
    if(how STREQUAL "loads")
        set_source_files_properties(peers/${file} PROPERTIES
            COMPILE_DEFINITIONS "BENCH_LIBRARY=\"${LEAT_BENCH_${name}_LIBRARY}\";BENCH_DAEMON=\"${LEAT_BENCH_ICEORYX_DAEMON}\"")
    elseif(how STREQUAL "links")
        target_link_libraries(leat_bench PRIVATE ${LEAT_BENCH_${name}_LIBRARY})
    endif()
endfunction()

leat_bench_peer(ck_ring.c ck_ring.h ck alone)
leat_bench_peer(libqb_ring.c qb/qbrb.h qb links)
leat_bench_peer(zeromq.c zmq.h zmq links libzmq)
leat_bench_peer(nng.c nng/nng.h nng loads nng)
leat_bench_peer(uv_pipe.c uv.h uv links libuv)
find_program(LEAT_BENCH_ICEORYX_DAEMON iox-roudi)
mark_as_advanced(LEAT_BENCH_ICEORYX_DAEMON)
if(LEAT_BENCH_ICEORYX_DAEMON)
    leat_bench_peer(iceoryx.c iceoryx_binding_c/api.h iceoryx_binding_c loads iceoryx_binding_c)
else()
    message(STATUS "leat_bench: no iox-roudi (Debian: iceoryx): without that peer")
endif()

if(CMAKE_CXX_COMPILER AND "cxx_std_20" IN_LIST CMAKE_CXX_COMPILE_FEATURES)
    leat_bench_peer(readerwriterqueue.cpp readerwriterqueue.h readerwriterqueue alone)
    leat_bench_peer(boost_queue.cpp boost/lockfree/spsc_queue.hpp boost alone)
    leat_bench_peer(boost_message_queue.cpp boost/interprocess/ipc/message_queue.hpp boost alone)
else()
    message(STATUS "leat_bench: no C++20 compiler: without boost, rwqueue and boost_mq")
endif()
