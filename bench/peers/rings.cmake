# Rings and queues of other libraries that leat_bench compares with: each where its library is installed. Debian has
# them in libck-dev, libreaderwriterqueue-dev, libqb-dev and libboost-dev.

add_library(leat_bench_peers_rings STATIC ${CMAKE_CURRENT_LIST_DIR}/rings.c)
target_link_libraries(leat_bench_peers_rings PUBLIC leat_bench_harness PRIVATE leat_build_options)

function(leat_bench_ring source definition)
    target_sources(leat_bench_peers_rings PRIVATE ${CMAKE_CURRENT_LIST_DIR}/${source})
    target_compile_definitions(leat_bench_peers_rings PRIVATE BENCH_HAVE_${definition})
endfunction()

# Concurrency Kit's ring is all in its headers.
find_path(LEAT_BENCH_CK_INCLUDE_DIR ck_ring.h)
mark_as_advanced(LEAT_BENCH_CK_INCLUDE_DIR)
if(LEAT_BENCH_CK_INCLUDE_DIR)
    leat_bench_ring(ck_ring.c CK_RING)
    target_include_directories(leat_bench_peers_rings SYSTEM PRIVATE ${LEAT_BENCH_CK_INCLUDE_DIR})
else()
    message(STATUS "leat_bench: no ck_ring.h: without ck_ring")
endif()

find_path(LEAT_BENCH_LIBQB_INCLUDE_DIR qb/qbrb.h)
find_library(LEAT_BENCH_LIBQB_LIBRARY qb)
mark_as_advanced(LEAT_BENCH_LIBQB_INCLUDE_DIR LEAT_BENCH_LIBQB_LIBRARY)
if(LEAT_BENCH_LIBQB_INCLUDE_DIR AND LEAT_BENCH_LIBQB_LIBRARY)
    leat_bench_ring(libqb_ring.c LIBQB)
    target_include_directories(leat_bench_peers_rings SYSTEM PRIVATE ${LEAT_BENCH_LIBQB_INCLUDE_DIR})
    target_link_libraries(leat_bench_peers_rings PRIVATE ${LEAT_BENCH_LIBQB_LIBRARY})
else()
    message(STATUS "leat_bench: no qb/qbrb.h or libqb: without libqb")
endif()

if(NOT CMAKE_CXX_COMPILER OR NOT "cxx_std_20" IN_LIST CMAKE_CXX_COMPILE_FEATURES)
    message(STATUS "leat_bench: no C++20 compiler: without boost, rwqueue and boost_mq")
    return()
endif()

# A library of its own: the warnings of leat_build_options are for C.
function(leat_bench_ring_cxx source definition)
    string(TOLOWER leat_bench_peers_${definition} target)
    add_library(${target} STATIC ${CMAKE_CURRENT_LIST_DIR}/${source})
    target_compile_features(${target} PRIVATE cxx_std_20)
    # A transport leaves out what stays zero, as in C.
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wno-missing-field-initializers)
    if(LEAT_SANITIZE)
        target_compile_options(${target} PRIVATE -fsanitize=${LEAT_SANITIZE} -fno-sanitize-recover=all -g)
    endif()
    target_link_libraries(${target} PRIVATE leat_bench_harness)
    target_link_libraries(leat_bench_peers_rings PRIVATE ${target})
    target_compile_definitions(leat_bench_peers_rings PRIVATE BENCH_HAVE_${definition})
endfunction()

find_path(LEAT_BENCH_RWQUEUE_INCLUDE_DIR readerwriterqueue.h PATH_SUFFIXES readerwriterqueue)
mark_as_advanced(LEAT_BENCH_RWQUEUE_INCLUDE_DIR)
if(LEAT_BENCH_RWQUEUE_INCLUDE_DIR)
    leat_bench_ring_cxx(readerwriterqueue.cpp RWQUEUE)
    target_include_directories(leat_bench_peers_rwqueue SYSTEM PRIVATE ${LEAT_BENCH_RWQUEUE_INCLUDE_DIR})
else()
    message(STATUS "leat_bench: no readerwriterqueue.h: without rwqueue")
endif()

check_include_file_cxx(boost/lockfree/spsc_queue.hpp LEAT_BENCH_HAVE_BOOST)
if(LEAT_BENCH_HAVE_BOOST)
    leat_bench_ring_cxx(boost_queue.cpp BOOST)
else()
    message(STATUS "leat_bench: no boost/lockfree/spsc_queue.hpp: without boost")
endif()

check_include_file_cxx(boost/interprocess/ipc/message_queue.hpp LEAT_BENCH_HAVE_BOOST_MQ)
if(LEAT_BENCH_HAVE_BOOST_MQ)
    leat_bench_ring_cxx(boost_message_queue.cpp BOOST_MQ)
    target_link_libraries(leat_bench_peers_boost_mq PRIVATE Threads::Threads rt) # shm_open, where libc lacks it
else()
    message(STATUS "leat_bench: no boost/interprocess/ipc/message_queue.hpp: without boost_mq")
endif()
