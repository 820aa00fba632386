// SPDX-License-Identifier: MIT
/*
 * Whose turn it is to send, and when: SOFTIRQ_NET works in rounds. A round takes what the cards have received, gives senders their turns as the packet scheduler says, tells the cards, and shows guests what is new for
 * them: once a round, so that a burst costs a guest one event. All of a round is judged by one generation of rules. After "Xen and the Art of Virtualization" (SOSP 2003), section 3.3.4. Contract: vif-internal.h.
 */
#include "vif-internal.h"

#include "alloc.h"
#include "changes.h"
#include "cpu.h"
#include "lib/string.h"
#include "time.h"
#include "vcpu.h"

#include <hv/errno.h>

#define TURNS_MAX   8u   /* in one round: then guests get the CPU for a moment */
#define POLL_MOST   32u
#define PAUSE_NS    50000u
#define ROUNDS_MAX  8u   /* without a break, while somebody else wants the CPU: then they get it for as long as that took */
#define ROUNDS_NS   NS_PER_MS /* nor longer than so */
#define TURN_SMALL  8u /* packets, or KiB: not worth a look at the clock */
#define TURNS_NS    (500 * 1000u) /* a round gives no more turns after so long: a frame to all may cost much */
#define REST_MAX_NS (10 * NS_PER_MS)

static struct spinlock turn_lock = SPINLOCK_INIT; /* senders, and the module's state */
static struct spinlock show_lock = SPINLOCK_INIT; /* a leaf */
static struct list_node shows = LIST_HEAD_INIT(shows);
static struct list_node senders = LIST_HEAD_INIT(senders); /* all; turn_lock */
static const struct vfr_sched_ops *module; /* turn_lock */
static void *state;
static uint32_t waiting; /* senders that wait; turn_lock, read without */
static struct timer pause_timer[MAX_CPUS];
static bool running[MAX_CPUS]; /* a round is under way on this CPU, and will look at both lists before it ends */

static struct {
    uint64_t since_ns;
    uint32_t rounds;
    bool rests; /* until pause_timer fires: what is to be done waits */
} breaks[MAX_CPUS];

static struct {
    struct vfr_generation *rules;
    uint64_t now_ns;
} round[MAX_CPUS];

struct vfr_generation *round_generation(void)
{
    return round[this_cpu_id()].rules;
}

uint64_t round_now_ns(void)
{
    return round[this_cpu_id()].now_ns;
}

/* ---- Who wants a turn ---- */

static struct vif *vif_of(struct vfr_sender *sender)
{
    return container_of(sender, struct vif, sender);
}

void turn_want(struct vif *vif)
{
    struct vfr_sender *sender = &vif->sender;
    bool added = false;

    if (READ_ONCE(sender->waiting))
        return; /* whoever gives it its turn looks at the ring afterwards */
    spin_lock(&turn_lock);
    if (!sender->waiting && !list_empty(&sender->link)) {
        sender->waiting = true;
        waiting++;
        module->ready(state, sender, clock_now_ns());
        added = true;
    }
    spin_unlock(&turn_lock);
    if (added && !running[this_cpu_id()])
        softirq_raise(SOFTIRQ_NET);
}

/* Which one, and how much. */
static struct vfr_turn turn_next(uint64_t now_ns)
{
    struct vfr_turn turn = {0};

    if (READ_ONCE(waiting) == 0)
        return turn;
    spin_lock(&turn_lock);
    if (waiting > 0)
        turn = module->next(state, now_ns);
    if (turn.sender != NULL) {
        waiting--;
        WRITE_ONCE(turn.sender->waiting, false);
    }
    spin_unlock(&turn_lock);
    return turn;
}

static void turn_over(struct vfr_sender *sender, uint32_t packets, uint32_t bytes, uint64_t now_ns)
{
    spin_lock(&turn_lock);
    if (!list_empty(&sender->link))
        module->sent(state, sender, packets, bytes, now_ns);
    spin_unlock(&turn_lock);
}

/* ---- What is to be shown ---- */

void turn_show(struct vif *vif)
{
    bool added = false;

    if (READ_ONCE(vif->in_shows))
        return;
    spin_lock(&show_lock);
    if (!vif->in_shows) {
        vif->in_shows = true;
        list_push_back(&shows, &vif->shows);
        __atomic_fetch_add(&vif->users, 1, __ATOMIC_RELAXED);
        added = true;
    }
    spin_unlock(&show_lock);
    if (added && !running[this_cpu_id()])
        softirq_raise(SOFTIRQ_NET);
}

static struct vif *show_next(void)
{
    struct vif *vif = NULL;

    if (list_empty(&shows))
        return NULL;
    spin_lock(&show_lock);
    if (!list_empty(&shows)) {
        vif = list_first_entry(&shows, struct vif, shows);
        list_remove(&vif->shows);
        WRITE_ONCE(vif->in_shows, false);
    }
    spin_unlock(&show_lock);
    return vif;
}

static void show_all(void)
{
    struct vif *vif;

    while ((vif = show_next()) != NULL) {
        tx_show(vif);
        rx_show(vif);
        __atomic_fetch_sub(&vif->users, 1, __ATOMIC_RELEASE);
    }
}

/* ---- Rounds ---- */

/* false: there were more turns to take than is fair to whoever runs here. */
static bool take_turns(uint32_t cpu)
{
    for (unsigned int i = 0; i < TURNS_MAX; i++) {
        struct vfr_turn turn = turn_next(round[cpu].now_ns);
        uint32_t packets, bytes;
        enum tx_state tx;

        if (turn.sender == NULL)
            return true;
        tx = tx_take(vif_of(turn.sender), turn.packets, turn.bytes, &packets, &bytes);
        turn_over(turn.sender, packets, bytes, round[cpu].now_ns);
        if (tx == TX_MORE)
            turn_want(vif_of(turn.sender));
        if ((packets > TURN_SMALL || bytes > TURN_SMALL * 1024) && clock_now_ns() - round[cpu].now_ns > TURNS_NS)
            break;
    }
    return READ_ONCE(waiting) == 0;
}

static void break_take(uint32_t cpu)
{
    uint32_t pending = READ_ONCE(this_cpu()->softirq_pending);
    uint64_t now_ns;

    if (!(pending & 1u << SOFTIRQ_NET)) {
        breaks[cpu].rounds = 0;
        return;
    }
    if (breaks[cpu].rounds++ == 0)
        breaks[cpu].since_ns = round[cpu].now_ns;
    if ((breaks[cpu].rounds < ROUNDS_MAX && round[cpu].now_ns - breaks[cpu].since_ns < ROUNDS_NS) || (current_vcpu()->is_idle && !(pending & 1u << SOFTIRQ_SCHEDULE)))
        return;
    now_ns = clock_now_ns();
    breaks[cpu].rounds = 0;
    breaks[cpu].rests = true;
    timer_set(&pause_timer[cpu], now_ns + max((uint64_t)PAUSE_NS, min(now_ns - breaks[cpu].since_ns, (uint64_t)REST_MAX_NS)));
}

static void net_softirq(void)
{
    uint32_t cpu = this_cpu_id();

    if (unlikely(breaks[cpu].rests))
        return;
    running[cpu] = true;
    compiler_barrier();
    round[cpu].rules = rules_enter();
    round[cpu].now_ns = clock_now_ns();
    nics_poll(POLL_MOST);
    if (!take_turns(cpu))
        timer_set(&pause_timer[cpu], clock_now_ns() + PAUSE_NS);
    nics_kick();
    nics_poll(POLL_MOST); /* what has been sent at once: no interrupt need tell of it */
    show_all();
    rules_leave();
    running[cpu] = false;
    compiler_barrier();
    /* What came onto the lists from another CPU has raised the softirq there; what came from here after the last look is rare. */
    if (!list_empty(&shows) || READ_ONCE(waiting) != 0)
        softirq_raise(SOFTIRQ_NET);
    break_take(cpu);
}

void vfr_cpu_idle(void)
{
    if (likely(!breaks[this_cpu_id()].rests))
        return;
    breaks[this_cpu_id()].rests = false;
    softirq_raise(SOFTIRQ_NET);
}

static void pause_over(void *arg)
{
    (void)arg;
    breaks[this_cpu_id()].rests = false;
    softirq_raise(SOFTIRQ_NET);
}

/* ---- Senders come and go; modules ---- */

static void *sender_data(const struct vfr_sched_ops *ops)
{
    return heap_alloc(max(ops->sender_bytes, (size_t)16));
}

int turn_insert(struct vif *vif)
{
    struct vfr_sender *sender = &vif->sender;
    const struct vfr_sched_ops *ops;
    void *data;

    for (;;) {
        ops = READ_ONCE(module);
        data = sender_data(ops);
        if (data == NULL)
            return -ENOMEM;
        spin_lock(&turn_lock);
        if (ops == module)
            break;
        spin_unlock(&turn_lock); /* another module meanwhile, and other data */
        heap_free(data);
    }
    sender->data = data;
    sender->waiting = false;
    list_push_back(&senders, &sender->link);
    module->insert(state, sender);
    spin_unlock(&turn_lock);
    return 0;
}

static void turn_drop(struct vfr_sender *sender)
{
    if (sender->waiting) {
        module->unready(state, sender);
        sender->waiting = false;
        waiting--;
    }
}

void turn_remove(struct vif *vif)
{
    struct vfr_sender *sender = &vif->sender;
    void *data = NULL;

    spin_lock(&turn_lock);
    if (!list_empty(&sender->link)) {
        turn_drop(sender);
        module->remove(state, sender);
        list_remove(&sender->link);
        list_init(&sender->link);
        data = sender->data;
        sender->data = NULL;
    }
    spin_unlock(&turn_lock);
    heap_free(data);
    spin_lock(&show_lock);
    if (vif->in_shows) {
        vif->in_shows = false;
        list_remove(&vif->shows);
        __atomic_fetch_sub(&vif->users, 1, __ATOMIC_RELEASE);
    }
    spin_unlock(&show_lock);
}

const char *net_sched_active(void)
{
    return READ_ONCE(module)->name;
}

static const struct vfr_sched_ops *module_find(const char *name)
{
    for (uint32_t i = 0; vfr_schedulers[i] != NULL; i++)
        if (strcmp(vfr_schedulers[i]->name, name) == 0)
            return vfr_schedulers[i];
    return NULL;
}

/* Memory for every sender, taken before the lock; those that come meanwhile are why it is counted again. */
struct takeover {
    const struct vfr_sched_ops *ops;
    void *state;
    void **data;
    uint32_t count;
};

static void takeover_free(struct takeover *t)
{
    for (uint32_t i = 0; t->data != NULL && i < t->count; i++)
        heap_free(t->data[i]);
    heap_free(t->data);
    heap_free(t->state);
}

static bool takeover_make(struct takeover *t)
{
    t->state = heap_alloc(max(t->ops->state_bytes, (size_t)16));
    t->data = heap_alloc(COLLET_VIFS_ALL_MAX * sizeof(*t->data));
    if (t->state == NULL || t->data == NULL)
        return false;
    for (t->count = 0; t->count < COLLET_VIFS_ALL_MAX && t->count < vif_slots + 16; t->count++) {
        t->data[t->count] = sender_data(t->ops);
        if (t->data[t->count] == NULL)
            return false;
    }
    return true;
}

/* turn_lock held. False: there are more senders than memory was made for. What was the old module's is left in t. */
static bool takeover_do(struct takeover *t, uint64_t now_ns)
{
    const struct vfr_sched_ops *before = module;
    void *state_before = state;
    struct vfr_sender *sender;
    uint32_t i = 0;

    list_for_each_entry(sender, &senders, link)
        i++;
    if (i > t->count)
        return false;
    i = 0;
    module = t->ops;
    state = t->state;
    if (module->create != NULL)
        module->create(state);
    list_for_each_entry(sender, &senders, link) {
        void *data = sender->data;

        if (sender->waiting)
            before->unready(state_before, sender);
        before->remove(state_before, sender);
        sender->data = t->data[i];
        t->data[i++] = data;
        module->insert(state, sender);
        if (sender->waiting)
            module->ready(state, sender, now_ns);
    }
    t->state = state_before;
    return true;
}

long net_sched_use(const char *name)
{
    struct takeover t = {.ops = module_find(name)};
    bool done = false;

    if (t.ops == NULL)
        return -ENOENT;
    for (unsigned int tries = 0; tries < 4 && !done; tries++) {
        if (!takeover_make(&t)) {
            takeover_free(&t);
            return -ENOMEM;
        }
        spin_lock(&turn_lock);
        done = takeover_do(&t, clock_now_ns());
        spin_unlock(&turn_lock);
        takeover_free(&t);
    }
    if (!done)
        return -EBUSY;
    change_record(COLLET_CHANGE_NET_SCHED, NULL, 0, name);
    return 0;
}

void turn_init(void)
{
    module = vfr_schedulers[0];
    state = heap_alloc(max(module->state_bytes, (size_t)16));
    BUG_ON(state == NULL);
    if (module->create != NULL)
        module->create(state);
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        timer_init(&pause_timer[cpu], pause_over, NULL, cpu);
    softirq_register(SOFTIRQ_NET, net_softirq);
}
