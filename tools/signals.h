/* signals.h - ending in good order on SIGINT, SIGTERM and SIGHUP, and on a closed pipe.
 *
 * Guarantees: after signals_catch, the first such signal makes every blocking call of the process
 * end with EINTR, be it under way or about to be entered: a timer repeats the interruption until
 * the process has ended. Signals that the process was started with ignored (nohup, background jobs)
 * stay ignored.
 */
#ifndef LEAT_TOOLS_SIGNALS_H
#define LEAT_TOOLS_SIGNALS_H

/* Catches the three signals, and makes writing to a closed pipe the error EPIPE instead of a
 * signal. */
void signals_catch(void);

/* The number of the signal that asks the process to end; 0 when none came. */
int signals_seen(void);

/* Ends the process by the signal as if it had never been caught, so that the parent sees what
 * happened (a shell shows 128 + number, and ends the loop that the command stood in). */
_Noreturn void signals_end_by(int signal_number);

#endif
