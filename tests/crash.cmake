# The tests that kill at every point and that drive the ring through every sequence.
# LEAT_CRASH_ONLY=word, LEAT_RING_DEPTH=5 or LEAT_TEST_ONLY="*walk*" in the environment: see the tests.

leat_test(crash_points 900 process slow)
target_sources(test_crash_points PRIVATE crash_round.c crash_step.c)
set_tests_properties(crash_points PROPERTIES PROCESSORS 2) # it starts a process for each
foreach(sort wiping fetching) # as on processors of other makers
    add_test(NAME crash_points_${sort} COMMAND test_crash_points)
    set_tests_properties(crash_points_${sort} PROPERTIES PROCESSORS 2 TIMEOUT 900 LABELS "process;slow"
                         ENVIRONMENT "LEAT_TEST_PROCESSOR=${sort};LEAT_CRASH_ONLY=lines")
endforeach()
leat_test(ring_exhaustive 600 unit)
