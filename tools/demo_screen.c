/* demo_screen.c - the demo's output while it runs: a curses screen, plain lines, or nothing.
 *
 * Guarantees: after demo_screen_close the terminal is as it was; it can be called any number of
 * times.
 */
#include <curses.h>
#include <stdio.h>
#include <string.h>

#include "demo.h"
#include "figures.h"

#define SCREEN_PERIOD_NS 250000000U
#define PLAIN_PERIOD_NS 1000000000U
#define CPU_ROWS_MAX 8
#define BAR_WIDTH 24

static SCREEN *screen; /* not NULL: curses has the terminal */

/* --- Figures for both modes of output --------------------------------------------------------- */

/* Busy share of a CPU between two frames, 0 to 1; negative when too few ticks have passed to
 * tell. */
static double busy(const struct proc_cpu *before, const struct proc_cpu *now) {
    double used = (double)(now->user - before->user) + (double)(now->system - before->system);
    double all = used + (double)(now->idle - before->idle);
    return all < 5 ? -1 : used / all;
}

static uint32_t shown_cpus(const struct demo_view *view) {
    uint32_t count = view->frame->counters.cpu_count;
    return count < PROC_CPU_MAX ? count : PROC_CPU_MAX;
}

static double busy_all(const struct demo_view *view) {
    struct proc_cpu before = {0}, now = {0};
    for (uint32_t i = 0; i < shown_cpus(view); i++) {
        const struct proc_cpu *old = &view->frame_before->counters.cpu[i],
                              *new = &view->frame->counters.cpu[i];
        before.user += old->user + old->system;
        before.idle += old->idle;
        now.user += new->user + new->system;
        now.idle += new->idle;
    }
    return busy(&before, &now);
}

/* Growth of a counter per second between the two frames. */
static double rate(const struct demo_view *view, uint64_t before, uint64_t now) {
    double seconds = (double)(view->frame->sent_ns - view->frame_before->sent_ns) / 1e9;
    return seconds <= 0 || now < before ? 0 : (double)(now - before) / seconds;
}

/* --- Plain lines ------------------------------------------------------------------------------ */

static void plain_live(const struct demo_view *view) {
    const struct proc_counters *now = &view->frame->counters,
                               *before = &view->frame_before->counters;
    struct figure p50, p99, memory, switches;
    double busy_share = busy_all(view);
    printf("%5.1f s  %4.0f frames/s  latency p50 %s, p99 %s  %.2f wakes/message  cpu %.0f %%  "
           "memory free %s  "
           "%s context switches/s\n",
           view->elapsed, view->messages_per_second,
           figure_duration(&p50, histogram_quantile(view->latency, 0.5)),
           figure_duration(&p99, histogram_quantile(view->latency, 0.99)), view->wakes_per_message,
           busy_share < 0 ? 0 : 100 * busy_share,
           figure_bytes(&memory, now->memory_available_bytes),
           figure_count(&switches,
                        (uint64_t)rate(view, before->context_switches, now->context_switches)));
    fflush(stdout);
}

static void plain_speed(const struct demo_view *view) {
    struct figure messages, bytes, all;
    printf("%5.1f s  %s  %s  %s messages checked\n", view->elapsed,
           figure_decimal(&messages, view->messages_per_second, " messages/s"),
           figure_decimal(&bytes, view->bytes_per_second, "B/s"),
           figure_count(&all, view->messages));
    fflush(stdout);
}

/* --- Curses ----------------------------------------------------------------------------------- */

static void title(const struct demo_view *view, const char *what) {
    erase();
    attron(A_REVERSE);
    mvprintw(0, 0, " leat demo: %s  %.1f of %.1f s ", what, view->elapsed, view->duration);
    attroff(A_REVERSE);
    mvprintw(2, 0, "Process %d sends, this one receives, through channel '%s'", (int)view->producer,
             view->channel);
}

static void heading(int row, const char *text) {
    attron(A_BOLD);
    mvaddstr(row, 0, text);
    attroff(A_BOLD);
}

static void bar(int row, int column, double share) {
    int filled = (int)(share * BAR_WIDTH + 0.5);
    filled = filled < 0 ? 0 : filled > BAR_WIDTH ? BAR_WIDTH : filled;
    mvaddch(row, column, '[');
    attron(COLOR_PAIR(1));
    for (int i = 0; i < BAR_WIDTH; i++)
        addch(i < filled ? '=' : ' ');
    attroff(COLOR_PAIR(1));
    addch(']');
}

/* Two CPUs a row, as many rows as fit. Returns the row below. */
static int cpu_rows(const struct demo_view *view, int row) {
    uint32_t count = shown_cpus(view);
    int first = row;
    for (uint32_t i = 0; i < count && row < first + CPU_ROWS_MAX; i++) {
        double share = busy(&view->frame_before->counters.cpu[i], &view->frame->counters.cpu[i]);
        int column = i % 2 == 0 ? 2 : 44;
        mvprintw(row, column, "cpu %-3u", i);
        bar(row, column + 8, share < 0 ? 0 : share);
        printw(" %3.0f %%", share < 0 ? 0 : 100 * share);
        row += i % 2 == 1 || i + 1 == count;
    }
    return row;
}

static int machine_rows(const struct demo_view *view, int row) {
    const struct proc_counters *now = &view->frame->counters,
                               *before = &view->frame_before->counters;
    struct figure used, all, switches, in, out;
    uint64_t taken = now->memory_bytes - now->memory_available_bytes;
    heading(row++, "This machine");
    row = cpu_rows(view, row);
    mvaddstr(row, 2, "memory");
    bar(row, 10, now->memory_bytes == 0 ? 0 : (double)taken / (double)now->memory_bytes);
    printw(" %s of %s", figure_bytes(&used, taken), figure_bytes(&all, now->memory_bytes));
    row++;
    mvprintw(row++, 2, "%s context switches/s   %u processes running   network in %s, out %s",
             figure_count(&switches,
                          (uint64_t)rate(view, before->context_switches, now->context_switches)),
             now->processes_running,
             figure_decimal(&in,
                            rate(view, before->network_received_bytes, now->network_received_bytes),
                            "B/s"),
             figure_decimal(&out, rate(view, before->network_sent_bytes, now->network_sent_bytes),
                            "B/s"));
    return row;
}

static void latency_rows(const struct demo_view *view, int row) {
    static const struct {
        const char *label;
        double quantile;
    } columns[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
    struct figure value;
    mvaddstr(row, 2, "one-way latency");
    for (int i = 0; i < (int)(sizeof columns / sizeof columns[0]); i++) {
        mvprintw(row, 20 + 12 * i, "%10s", columns[i].label);
        mvprintw(row + 1, 20 + 12 * i, "%10s",
                 figure_duration(&value, histogram_quantile(view->latency, columns[i].quantile)));
    }
}

static void screen_live(const struct demo_view *view) {
    struct figure frames;
    title(view, "live counters");
    int row = machine_rows(view, 4) + 1;
    heading(row++, "The channel");
    mvprintw(row++, 2, "%s frames of %u bytes, %.0f/s, %llu lost",
             figure_count(&frames, view->messages), (unsigned)sizeof(struct demo_frame),
             view->messages_per_second, (unsigned long long)view->lost);
    if (view->wakes_per_message >= 0)
        mvprintw(row, 2, "%.2f wakes per message: the receiver sleeps between frames",
                 view->wakes_per_message);
    latency_rows(view, row + 2);
}

static void screen_speed(const struct demo_view *view) {
    struct figure messages, bytes, all;
    title(view, "full speed, every byte checked");
    heading(4, "The channel");
    mvprintw(5, 2, "messages of %d to %d bytes", DEMO_MESSAGE_MIN, DEMO_MESSAGE_MAX);
    bar(6, 2, view->duration > 0 ? view->elapsed / view->duration : 1);
    mvprintw(8, 2, "%s", figure_decimal(&messages, view->messages_per_second, " messages/s"));
    mvprintw(9, 2, "%s", figure_decimal(&bytes, view->bytes_per_second, "B/s"));
    mvprintw(10, 2, "%s messages received and checked", figure_count(&all, view->messages));
    if (view->wakes_per_message >= 0)
        mvprintw(11, 2, "%.6f wakes per message: no wake-up is needed", view->wakes_per_message);
}

static bool open_curses(void) {
    /* initscr would end the process on a terminal it does not know */
    screen = newterm(NULL, stdout, stdin);
    if (screen == NULL)
        return false;
    set_term(screen);
    cbreak();
    noecho();
    nodelay(stdscr, TRUE);
    curs_set(0);
    if (has_colors() && start_color() == OK) {
        use_default_colors();
        init_pair(1, COLOR_GREEN, -1);
    }
    return true;
}

/* --- Either ----------------------------------------------------------------------------------- */

enum demo_style demo_screen_open(enum demo_style style) {
    return style == DEMO_SCREEN && !open_curses() ? DEMO_PLAIN : style;
}

void demo_screen_close(enum demo_style style) {
    if (style != DEMO_SCREEN || screen == NULL)
        return;
    endwin();
    delscreen(screen);
    screen = NULL;
}

static void draw(void (*content)(const struct demo_view *), const struct demo_view *view) {
    if (screen == NULL)
        return;
    while (getch() != ERR) /* takes note of a new window size; keys mean nothing here */
        continue;
    content(view);
    refresh();
}

void demo_screen_live(enum demo_style style, const struct demo_view *view) {
    if (style == DEMO_PLAIN)
        plain_live(view);
    else if (style == DEMO_SCREEN)
        draw(screen_live, view);
}

void demo_screen_speed(enum demo_style style, const struct demo_view *view) {
    if (style == DEMO_PLAIN)
        plain_speed(view);
    else if (style == DEMO_SCREEN)
        draw(screen_speed, view);
}

uint64_t demo_screen_period_ns(enum demo_style style) {
    return style == DEMO_SCREEN ? SCREEN_PERIOD_NS : PLAIN_PERIOD_NS;
}
