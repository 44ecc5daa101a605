/* parts.h - the parts of the benchmarks that are no experiments with transports. */
#ifndef BENCH_PARTS_H
#define BENCH_PARTS_H

#include "trial.h"

extern const struct part part_open, part_open_nth, part_open_at_once, part_open_in_turn;
extern const struct part part_sync;
extern const struct part part_limits;
/* BENCH_LOOP */
extern const struct part part_trips, part_waiting, part_rates, part_channels, part_idle, part_timer;

#endif
