//! When inspectors give way to pushes.
//!
//! A niceness alone is not enough: where server and client share few processors, an inspector that
//! runs in the gaps of a push still costs it a third of its time, for two hardware threads share
//! one core, and a nice thread must first be moved away. So inspectors stand still while a push
//! needs the machine, and run when it does not: bytes that come as slowly as a network brings them
//! leave room for an inspector to ride along, bytes that come as fast as they are hashed do not.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Bytes a second and hardware thread up to which receiving leaves room for inspectors. Two threads
/// ride along with a whole gigabit of network.
const EASY_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes that may come at once and say nothing about the speed.
const BURST_BYTES: u64 = 512 * 1024;
/// How long the first bytes of an upload are watched before an inspector may begin with them.
const FIRST_LOOK: Duration = Duration::from_millis(8);
/// How long after a blob, or after the last fast bytes, the next ones are expected: clients send
/// one layer after the other, then the configuration and the manifest.
const LINGER: Duration = Duration::from_millis(20);
/// How long pushes may hold inspectors up. Then these run for as long whatever comes, so that facts
/// arrive under a load that never ends.
const LONGEST_HOLD: Duration = Duration::from_secs(1);

/// Knows whether pushes need the machine.
pub(crate) struct Pace {
    state: Mutex<State>,
    changed: Condvar,
}

/// A push that is being made durable, until dropped.
pub(crate) struct Storing<'a>(&'a Pace);

/// A door that waits for facts, until dropped.
pub(crate) struct Waiting<'a>(&'a Pace);

struct State {
    threads: usize,
    /// Received bytes, less what [`EASY_BYTES`] lets drain.
    level: u64,
    drained: Instant,
    /// Until when more of a push is expected.
    expected_until: Instant,
    storing: usize,
    doors: usize,
    inspectors: usize,
    /// Since when inspectors stand still.
    held_since: Option<Instant>,
    /// Until when they do not stand still again.
    free_until: Option<Instant>,
}

impl Pace {
    /// On a machine with this many hardware threads.
    pub(crate) fn new(threads: usize) -> Self {
        Self { state: Mutex::new(State::new(threads, Instant::now())), changed: Condvar::new() }
    }

    /// Counts received bytes. Whether they come so fast that nothing should run beside them.
    pub(crate) fn received(&self, bytes: usize) -> bool {
        self.lock().receive(bytes as u64, Instant::now())
    }

    /// The first bytes of an upload have come.
    pub(crate) fn begun(&self) {
        let mut state = self.lock();
        state.expected_until = state.expected_until.max(Instant::now() + FIRST_LOOK);
    }

    /// A push's last part begins: flush, judge, commit.
    pub(crate) fn storing(&self) -> Storing<'_> {
        self.lock().storing += 1;
        Storing(self)
    }

    /// A whole image is there: nothing more is expected of whoever pushed it.
    pub(crate) fn pushed(&self) {
        let mut state = self.lock();
        state.level = 0;
        state.expected_until = Instant::now();
        drop(state);
        self.changed.notify_all();
    }

    /// A door waits for facts: nobody gives way to pushes now.
    pub(crate) fn door(&self) -> Waiting<'_> {
        self.lock().doors += 1;
        self.changed.notify_all();
        Waiting(self)
    }

    /// Blocks an inspector while pushes need the machine.
    pub(crate) fn give_way(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        if state.inspector_waits(now).is_none() {
            return;
        }
        state.inspectors += 1;
        if state.inspectors == 1 {
            state.held_since = Some(now);
        }
        while let Some(time) = state.inspector_waits(Instant::now()) {
            let woken = self.changed.wait_timeout(state, time);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.inspectors -= 1;
        if state.inspectors == 0 {
            state.held_since = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Storing<'_> {
    fn drop(&mut self) {
        self.0.lock().stored(Instant::now());
        self.0.changed.notify_all();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().doors -= 1;
    }
}

impl State {
    fn new(threads: usize, now: Instant) -> Self {
        Self {
            threads: threads.max(1),
            level: 0,
            drained: now,
            expected_until: now,
            storing: 0,
            doors: 0,
            inspectors: 0,
            held_since: None,
            free_until: None,
        }
    }

    fn receive(&mut self, bytes: u64, now: Instant) -> bool {
        self.drain(now);
        let most = BURST_BYTES + self.easy_bytes(LINGER);
        self.level = self.level.saturating_add(bytes).min(most);
        self.level > BURST_BYTES
    }

    fn stored(&mut self, now: Instant) {
        if self.storing_fills() {
            self.expected_until = self.expected_until.max(now + LINGER);
        }
        self.storing -= 1;
    }

    /// Whether pushes that are being stored leave no hardware thread to spare.
    fn storing_fills(&self) -> bool {
        self.storing > 0 && self.storing + 1 >= self.threads
    }

    fn drain(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.drained);
        self.level = self.level.saturating_sub(self.easy_bytes(time));
        self.drained = now;
    }

    /// What may come in this time and leave room for inspectors.
    fn easy_bytes(&self, time: Duration) -> u64 {
        let a_second = EASY_BYTES.saturating_mul(self.threads as u64);
        let bytes = u128::from(a_second) * time.as_nanos() / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// How long an inspector waits before it asks again; none when it may run.
    fn inspector_waits(&mut self, now: Instant) -> Option<Duration> {
        self.drain(now);
        let busy = self.storing_fills() || self.level > BURST_BYTES || now < self.expected_until;
        if self.doors > 0 || !busy {
            return None;
        }
        if self.free_until.is_some_and(|until| now < until) {
            return None;
        }
        let since = self.held_since.unwrap_or(now);
        let held = now.saturating_duration_since(since);
        if held >= LONGEST_HOLD {
            self.free_until = Some(now + LONGEST_HOLD);
            self.held_since = Some(now + LONGEST_HOLD);
            return None;
        }
        Some(FIRST_LOOK.min(LONGEST_HOLD - held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// Receives `mib` MiB in steps of 64 KiB at `rate` MiB a second; whether it was ever too fast,
    /// and when it ended.
    fn receive(state: &mut State, mib: u64, rate: u64, mut now: Instant) -> (bool, Instant) {
        let mut fast = false;
        for _ in 0..mib * 16 {
            fast |= state.receive(MIB / 16, now);
            now += Duration::from_nanos(1_000_000_000 / (rate * 16));
        }
        (fast, now)
    }

    #[test]
    fn a_network_leaves_room_and_a_client_beside_the_server_does_not() {
        let start = Instant::now();
        let mut state = State::new(2, start);
        let (fast, end) = receive(&mut state, 200, 112, start);
        assert!(!fast, "a gigabit");
        assert_eq!(state.inspector_waits(end), None);
        let (fast, end) = receive(&mut state, 50, 400, end);
        assert!(fast);
        assert!(state.inspector_waits(end).is_some(), "the next layer is expected");
        assert_eq!(state.inspector_waits(end + LINGER), None, "none came");
        state.storing = 1;
        state.stored(end);
        assert!(state.inspector_waits(end).is_some(), "the next blob is expected");
        let mut large = State::new(16, start);
        assert!(!receive(&mut large, 50, 400, start).0, "there are other processors");
    }

    #[test]
    fn a_door_that_waits_lets_inspectors_run() {
        let now = Instant::now();
        let mut state = State::new(2, now);
        state.storing = 1;
        assert!(state.inspector_waits(now).is_some());
        state.doors = 1;
        assert_eq!(state.inspector_waits(now), None);
    }

    #[test]
    fn nobody_stands_still_for_ever() {
        let start = Instant::now();
        let mut state = State::new(2, start);
        state.storing = 9;
        state.held_since = Some(start);
        let mut ran = Duration::ZERO;
        let step = Duration::from_millis(10);
        for at in 0..1_000 {
            if state.inspector_waits(start + step * at).is_none() {
                ran += step;
            }
        }
        let half = Duration::from_secs(5);
        assert!(ran.abs_diff(half) <= LONGEST_HOLD, "of ten seconds they ran {ran:?}");
    }

    #[test]
    fn an_inspector_runs_when_the_push_has_ended() {
        let pace = Pace::new(2);
        let storing = pace.storing();
        assert!(pace.received(8 * BURST_BYTES as usize));
        std::thread::scope(|scope| {
            let inspector = scope.spawn(|| {
                let begun = Instant::now();
                pace.give_way();
                begun.elapsed()
            });
            while pace.lock().inspectors == 0 {
                std::thread::yield_now();
            }
            drop(storing);
            pace.pushed();
            let waited = inspector.join().expect("it ran");
            assert!(waited < LONGEST_HOLD, "it waited {waited:?}");
        });
        let state = pace.lock();
        assert_eq!((state.inspectors, state.held_since), (0, None));
    }
}
