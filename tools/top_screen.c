/* top_screen.c - the terminal of `leat top`: a curses screen, and keys.
 *
 * Guarantees: after top_screen_close the terminal is as it was; nothing is written outside of the
 * window, however small it is; no byte of a name reaches the terminal unescaped.
 */
#include <curses.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "figures.h"
#include "names.h"
#include "top.h"

#define LIST_TOP 4 /* above it: title, totals, notice, heading */
#define CONTROL(letter) ((letter)&0x1f)

enum { PAIR_GOOD = 1, PAIR_WARNING, PAIR_BAD };

static SCREEN *screen; /* not NULL: curses has the terminal */
static sigset_t signals_before;
static bool utf8;

/* --- Text that stays inside ------------------------------------------------------------------- */

/* How many columns the character at the start of text takes; a character that the terminal cannot
 * show takes one, as '?'. */
static int columns_of(const char *text, size_t length, bool *shown) {
    wchar_t wide;
    mbstate_t state = {0};
    int columns = -1;
    *shown =
        (length == 1 && (unsigned char)*text < 0x80) ||
        (utf8 && mbrtowc(&wide, text, length, &state) == length && (columns = wcwidth(wide)) >= 0);
    return *shown && columns >= 0 ? columns : 1;
}

/* Writes UTF-8 without controls at the place, as much as fits. Returns the column behind it. */
static int put(int row, int column, const char *text) {
    if (row < 0 || row >= LINES || move(row, column) == ERR)
        return column;
    while (*text != 0) {
        size_t length = utf8_length(text);
        bool shown;
        length = length == 0 ? 1 : length;
        int columns = columns_of(text, length, &shown);
        if (column + columns > COLS)
            break;
        if (shown)
            addnstr(text, (int)length);
        else
            addch('?');
        column += columns;
        text += length;
    }
    return column;
}

/* The whole row with these attributes. */
static void put_bar(int row, const char *text, attr_t attributes) {
    attron(attributes);
    for (int column = put(row, 0, text); column < COLS && row < LINES; column++)
        mvaddch(row, column, ' ');
    attroff(attributes);
}

/* --- List ------------------------------------------------------------------------------------- */

static const char *clock_text(char text[16]) {
    time_t now = time(NULL);
    struct tm local;
    strftime(text, 16, "%H:%M:%S", localtime_r(&now, &local));
    return text;
}

static void draw_top(const struct top_view *view) {
    const struct top_model *model = view->model;
    char text[TOP_LINE_SIZE], clock[16];
    struct figure delay, cost;
    snprintf(text, sizeof text, " leat top  %s  by %s%s  every %s  %s  read in %s",
             clock_text(clock), top_column_title((int)model->sort),
             model->reversed ? ", reversed" : "", figure_duration(&delay, view->delay_ns),
             model->local && model->global ? "local and global"
                                           : scope_name(model->local ? LEAT_LOCAL : LEAT_GLOBAL),
             figure_duration(&cost, model->now.cost_ns));
    put_bar(0, text, A_REVERSE);
    put(1, 0, top_totals_line(text, model));
    if (view->notice[0] != 0) {
        attron(COLOR_PAIR(PAIR_BAD));
        put(2, 0, view->notice);
        attroff(COLOR_PAIR(PAIR_BAD));
    } else if (model->filter[0] != 0) {
        struct shown_text shown;
        snprintf(text, sizeof text, "%zu of %zu with '%.60s' in the name", model->shown_count,
                 model->now.count, text_show(&shown, model->filter));
        put(2, 0, text);
    }
}

static void draw_heading(const struct top_layout *layout, const struct top_model *model) {
    char line[TOP_LINE_SIZE + 8];
    int width, place = top_column_place(layout, model->sort, &width);
    top_heading(line, layout);
    strcat(line, "NAME");
    put_bar(LIST_TOP - 1, line, A_REVERSE);
    if (place < COLS && LIST_TOP - 1 < LINES)
        mvchgat(LIST_TOP - 1, place, place + width > COLS ? COLS - place : width, A_BOLD, 0, NULL);
}

static attr_t colour_of(const struct top_row *row) {
    bool bad = row->code != LEAT_OK, busy = false, warning = false;
    if (top_has_channel(row)) {
        bad = row->channel.sender == LEAT_PEER_DIED || row->channel.receiver == LEAT_PEER_DIED;
        warning = row->channel.backlog_bytes > row->channel.capacity / 4 * 3;
        busy = row->rates.busy;
    }
    return bad       ? COLOR_PAIR(PAIR_BAD)
           : warning ? COLOR_PAIR(PAIR_WARNING)
           : busy    ? COLOR_PAIR(PAIR_GOOD)
                     : A_NORMAL;
}

static void draw_row(int place, const struct top_layout *layout, const struct top_row *row,
                     bool selected) {
    char line[TOP_LINE_SIZE];
    struct shown_name name;
    attr_t attributes = selected ? A_REVERSE : colour_of(row);
    top_line(line, layout, row);
    if (selected)
        put_bar(place, "", attributes);
    attron(attributes);
    put(place, put(place, 0, line), name_show(&name, row->object.name));
    attroff(attributes);
}

/* Moves the window over `count` rows so that it has no empty end and, if wanted, `selected` is in
 * it. */
static size_t window(size_t top, size_t count, size_t rows, size_t selected) {
    if (rows == 0)
        return 0;
    if (top + rows > count)
        top = count > rows ? count - rows : 0;
    if (selected < top)
        top = selected;
    return selected >= top + rows ? selected - rows + 1 : top;
}

static void draw_list(struct top_view *view) {
    const struct top_model *model = view->model;
    struct top_layout layout;
    size_t rows = top_screen_rows();
    top_layout(&layout, model, COLS);
    draw_top(view);
    draw_heading(&layout, model);
    view->top = window(view->top, model->shown_count, rows, view->selected);
    for (size_t i = 0; i < rows && view->top + i < model->shown_count; i++)
        draw_row(LIST_TOP + (int)i, &layout, model->shown[view->top + i],
                 view->top + i == view->selected);
    if (model->shown_count == 0)
        put(LIST_TOP, 0,
            model->now.count > 0 ? "None of these has that in its name."
            : model->others      ? "There are no objects."
                                 : "There are no channels.");
}

/* --- Pages of text ---------------------------------------------------------------------------- */

static const char help_text[] =
    "leat top shows every channel and what goes through it; it only reads.\n"
    "\n"
    "  q              quit (in help and details: back)\n"
    "  Up Down k j    select;  PgUp PgDn Home End\n"
    "  Enter          everything about the selected one\n"
    "  < >  F6        sort by the column before or after;  R  the other way around\n"
    "  /  F4          filter by a part of the name;  Esc  no filter\n"
    "  o              other kinds too: mutexes, events, semaphores, regions\n"
    "  s  d           seconds between two refreshes;  Space  now\n"
    "  h  ?  F1       this page;  Ctrl-L  draw again\n"
    "\n"
    "  MSG/S B/S      what the receiver took in a second; without one, what was sent\n"
    "  BACKLOG FULL   in the ring now, headers included; its share of the capacity\n"
    "  HIGH           the most that was seen in the ring since the channel was made\n"
    "  WAKES/S        system calls to wake the other side, both sides together\n"
    "  SLEEPS/S       how often a side went to sleep\n"
    "  STALLS/S       calls that found the ring full (sender) or empty (receiver)\n"
    "  WAKE           from the sender's wake call until the receiver was awake, the mean\n"
    "                 since the last refresh; - if no sleep ended in that way\n"
    "  SENDER RECEIVER  yes, many, none (not come yet), closed, died\n"
    "  USERS          open handles, in all processes\n"
    "\n"
    "A sender publishes its counters every eighth of the ring: what it did is an\n"
    "average since they last moved, and - until that is known. A narrow window\n"
    "leaves columns out.\n";

static size_t lines_in(const char *text) {
    size_t lines = 0;
    for (; *text != 0; text++)
        lines += *text == '\n';
    return lines;
}

static void draw_text(struct top_view *view, const char *title, const char *text) {
    size_t lines = lines_in(text), rows = LINES > 2 ? (size_t)LINES - 2 : 0;
    char line[512];
    put_bar(0, title, A_REVERSE);
    if (view->text_top + rows > lines)
        view->text_top = lines > rows ? lines - rows : 0;
    for (size_t i = 0; *text != 0 && i < view->text_top + rows; i++) {
        size_t length = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)(length < sizeof line ? length : sizeof line - 1),
                 text);
        if (i >= view->text_top)
            put(1 + (int)(i - view->text_top), 0, line);
        text += length + (text[length] == '\n');
    }
}

static void draw_prompt(const struct top_view *view) {
    char text[512];
    struct shown_text shown;
    snprintf(text, sizeof text, "%s %.400s", view->question, text_show(&shown, view->answer));
    attron(A_BOLD);
    int column = put(LINES - 1, 0, text);
    attroff(A_BOLD);
    move(LINES - 1, column < COLS ? column : COLS - 1);
}

void top_screen_draw(struct top_view *view) {
    static const char *const keys[] = {
        [TOP_PAGE_LIST] = (" q quit  h help  Enter details  < > R sort  / filter  s delay  o other "
                           "kinds  Space refresh"),
        [TOP_PAGE_HELP] = " q back",
        [TOP_PAGE_DETAILS] = " q back  Up Down scroll",
    };
    if (screen == NULL)
        return;
    erase();
    if (view->page == TOP_PAGE_LIST)
        draw_list(view);
    else if (view->page == TOP_PAGE_HELP)
        draw_text(view, " leat top: help", help_text);
    else
        draw_text(view, " leat top: details", view->text != NULL ? view->text : "");
    curs_set(view->question != NULL);
    if (view->question != NULL)
        draw_prompt(view);
    else
        put_bar(LINES - 1, keys[view->page], A_REVERSE);
    refresh();
}

void top_screen_redraw_all(void) {
    if (screen != NULL)
        clearok(curscr, TRUE);
}

size_t top_screen_rows(void) {
    return LINES > LIST_TOP + 1 ? (size_t)(LINES - LIST_TOP - 1) : 0;
}

/* --- Terminal and keys ------------------------------------------------------------------------ */

bool top_screen_open(void) {
    sigset_t resize;
    /* initscr would end the process on a terminal it does not know */
    screen = newterm(NULL, stdout, stdin);
    if (screen == NULL)
        return false;
    set_term(screen);
    cbreak();
    noecho();
    nonl();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    set_escdelay(50);
    utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (has_colors() && start_color() == OK) {
        use_default_colors();
        init_pair(PAIR_GOOD, COLOR_GREEN, -1);
        init_pair(PAIR_WARNING, COLOR_YELLOW, -1);
        init_pair(PAIR_BAD, COLOR_RED, -1);
    }
    sigemptyset(&resize);
    /* unblocked only while waiting, so that none is missed just before */
    sigaddset(&resize, SIGWINCH);
    sigprocmask(SIG_BLOCK, &resize, &signals_before);
    return true;
}

void top_screen_close(void) {
    if (screen == NULL)
        return;
    endwin();
    delscreen(screen);
    screen = NULL;
    sigprocmask(SIG_SETMASK, &signals_before, NULL);
}

static int meaning_of(int key) {
    static const struct {
        int key, meaning;
    } meanings[] = {
        {KEY_RESIZE, TOP_KEY_RESIZE},  {KEY_UP, TOP_KEY_UP},           {KEY_DOWN, TOP_KEY_DOWN},
        {KEY_PPAGE, TOP_KEY_PAGE_UP},  {KEY_NPAGE, TOP_KEY_PAGE_DOWN}, {KEY_HOME, TOP_KEY_HOME},
        {KEY_END, TOP_KEY_END},        {KEY_ENTER, TOP_KEY_ENTER},     {'\r', TOP_KEY_ENTER},
        {'\n', TOP_KEY_ENTER},         {KEY_BACKSPACE, TOP_KEY_ERASE}, {0x7f, TOP_KEY_ERASE},
        {CONTROL('h'), TOP_KEY_ERASE}, {0x1b, TOP_KEY_ESCAPE},         {KEY_F(1), TOP_KEY_HELP},
        {KEY_F(4), TOP_KEY_FILTER},    {KEY_F(6), TOP_KEY_SORT},
    };
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].key == key)
            return meanings[i].meaning;
    return key < 0x100 ? key : TOP_KEY_OTHER;
}

int top_screen_key(uint64_t deadline_ns) {
    int key = getch(); /* keys that curses has already read, and new window sizes */
    if (key != ERR)
        return meaning_of(key);
    uint64_t now = leat_now(), left = deadline_ns > now ? deadline_ns - now : 0;
    struct timespec timeout = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
    struct pollfd keyboard = {STDIN_FILENO, POLLIN, 0};
    int ready = ppoll(&keyboard, 1, &timeout, &signals_before);
    key = getch();
    if (key != ERR)
        return meaning_of(key);
    /* readable, but there is nothing to read: the end */
    return ready > 0 ? TOP_KEY_HANGUP : TOP_KEY_NONE;
}
