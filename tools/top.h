/* top.h - the parts of `leat top`.
 *
 * All objects are read from outside (leat_list, leat_channel_stat, leat_sync_stat): no object gets
 * a user by being shown, and no waiter is woken.
 *
 *     cmd_top.c      arguments, the order of events, keys
 *     top_model.c    two samples of all objects, the rates between them, filter and order
 *     top_columns.c  the columns of a row, and the order of rows
 *     top_batch.c    refreshes as plain text and as JSON
 *     top_screen.c   the terminal
 */
#ifndef LEAT_TOOLS_TOP_H
#define LEAT_TOOLS_TOP_H

#include <stdio.h>

#include "common.h"

/* --- The model -------------------------------------------------------------------------------- */

/* Growth of a channel's counters per second between two samples; negative: not known. */
struct top_rates {
    double seconds;         /* between the two */
    double messages, bytes; /* the receiver's, where one is there; else the sender's */
    double sent_messages, sent_bytes, received_messages, received_bytes;
    double wake_calls, sleeps, stalls; /* of both roles together */
    /* no rate: the mean of the receiver's wake-ups between the two; negative: there was none. Not
     * in totals */
    double wake_ns;
    bool busy; /* something went in or out between the two */
};

/* A sender publishes what it has counted every eighth of the ring, which can take a slow one
 * minutes: the rate is that between the last two times at which its counters were seen to move. The
 * first move gives no rate, unless it is large: the sender may have begun to count long before the
 * first sample. */
struct top_sender {
    uint64_t moved_ns; /* as seen; before the first move: the time of the first sample */
    bool moved, known;
    double messages, bytes, wake_calls; /* per second, if known */
};

struct top_row {
    leat_object_info object;
    /* why nothing is known of what is inside; LEAT_OK: the next three are valid, each for objects
     * of its kind */
    int code;
    leat_channel_info channel;
    leat_sync_info sync;
    /* false: it was not there in the sample before, or not under this name, or its counters went
     * back */
    bool rated;
    struct top_rates rates;
    struct top_sender sender;
    bool fresh; /* not in the sample before; false in the first one */
    uint64_t read_ns;
};

/* In the order in which they are shown. */
enum top_column {
    TOP_KIND,
    TOP_SCOPE,
    TOP_USERS,
    TOP_MESSAGES,
    TOP_BYTES,
    TOP_BACKLOG,
    TOP_FULL,
    TOP_HIGH_WATER,
    TOP_WAKES,
    TOP_SLEEPS,
    TOP_STALLS,
    TOP_WAKE,
    TOP_SENDER,
    TOP_RECEIVER,
    TOP_NAME,
    TOP_COLUMNS,
};

struct top_sample {
    struct top_row *rows; /* of a scope: in the order of the names' bytes; local ones first */
    size_t count, room;
    uint64_t taken_ns, cost_ns; /* when it was begun, and how long it took */
};

/* Over the rows that pass the filter; of rates, those that are known. */
struct top_totals {
    /* busy: something went through since the last refresh; died: its sender or receiver did */
    size_t channels, others, busy, died;
    uint64_t backlog_bytes;
    struct top_rates rates;
};

struct top_model {
    /* Set by its user. */
    bool local, global, others; /* others: also what is no channel */
    enum top_column sort;
    bool reversed;
    char filter[256]; /* part of the name as it is shown, in any case; "": all */

    struct top_sample now, before;
    const struct top_row **shown; /* filtered and sorted */
    size_t shown_count;
    struct top_totals totals;
    uint64_t refreshes;
};

/* Samples all objects and computes the rates. An error leaves the model as it was; *scope is where
 * it happened. A new sample comes arranged. */
int top_model_refresh(struct top_model *model, leat_scope *scope);
/* Again after a change of filter or order. LEAT_ENOMEM. */
int top_model_arrange(struct top_model *model);
void top_model_forget(struct top_model *model);

/* The rates of a row since the one before (NULL: there was none), if that is the same channel. */
void top_rate(struct top_row *row, const struct top_row *before);
bool top_passes(const struct top_row *row, const char *filter);

/* Whether there are figures of a channel in the row. */
static inline bool top_has_channel(const struct top_row *row) {
    return row->code == LEAT_OK && row->object.kind == LEAT_KIND_CHANNEL;
}

/* --- Columns ---------------------------------------------------------------------------------- */

/* Which columns are shown; the name is, always. */
struct top_layout {
    bool shown[TOP_COLUMNS];
    int width; /* of all that comes before the name */
};

/* NULL after the last. */
const char *top_column_title(int column);

/* As many columns as leave the name some room in a line of this width; the less important give way
 * first, the one that is sorted by never. */
void top_layout(struct top_layout *layout, const struct top_model *model, int width);

enum { TOP_LINE_SIZE = 256 };
/* All before the name. What has no figures has a sentence in their place. */
const char *top_heading(char line[TOP_LINE_SIZE], const struct top_layout *layout);
const char *top_line(char line[TOP_LINE_SIZE], const struct top_layout *layout,
                     const struct top_row *row);
/* Where a column begins in these, and how wide it is. */
int top_column_place(const struct top_layout *layout, enum top_column column, int *width);

/* The order of two rows: largest figures first, names from A on, and what has no figure last;
 * `reversed` turns all but the last around. */
int top_compare(const struct top_row *a, const struct top_row *b, enum top_column column,
                bool reversed);

const char *top_totals_line(char line[TOP_LINE_SIZE], const struct top_model *model);

/* --- Without a terminal ----------------------------------------------------------------------- */

void top_batch_text(const struct top_model *model, FILE *out);
/* One object in one line. */
void top_batch_json(const struct top_model *model, FILE *out);

/* --- On a terminal ---------------------------------------------------------------------------- */

enum top_page { TOP_PAGE_LIST, TOP_PAGE_HELP, TOP_PAGE_DETAILS };

/* What the screen shows. */
struct top_view {
    enum top_page page;
    const struct top_model *model;
    uint64_t delay_ns;
    size_t selected; /* of model->shown */
    size_t top;      /* the first row in the window; put right by drawing */
    char *text;      /* details */
    size_t text_top; /* the first line of help or details in the window; put right by drawing */
    const char *question; /* a prompt; NULL: none */
    const char *answer;
    char notice[160]; /* what went wrong; "": nothing */
};

/* False: curses does not know the terminal, or it could not be opened. */
bool top_screen_open(void);
/* The terminal is as it was. May be called any number of times. */
void top_screen_close(void);
void top_screen_draw(struct top_view *view);
void top_screen_redraw_all(void);
/* Rows that a page has room for. */
size_t top_screen_rows(void);

/* What a key asks for, other than a character; the values stand beside those of characters. */
enum top_key {
    TOP_KEY_NONE = 0x1000, /* no key until the deadline */
    TOP_KEY_HANGUP,        /* the terminal has gone */
    TOP_KEY_RESIZE,
    TOP_KEY_UP,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_ENTER,
    TOP_KEY_ERASE,
    TOP_KEY_ESCAPE,
    TOP_KEY_HELP,
    TOP_KEY_FILTER,
    TOP_KEY_SORT,
    TOP_KEY_OTHER, /* means nothing here */
};

/* Waits for a key: a byte of text, or one of the above. Signals end the wait as the deadline
 * does. */
int top_screen_key(uint64_t deadline_ns);

#endif
