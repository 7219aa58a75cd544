//! Who waits for whom. An address that has lately used more than its share of the processors lets
//! everybody else go first: each of its requests waits, before it begins and whenever it goes on
//! after it waited for something, until nobody else has anything to do, and only as many of them
//! run at a time as there are processors. Addresses in that position take turns, and what has begun
//! comes before what has not: it may hold what others wait for. Nobody is refused, and where nobody
//! else asks nobody waits.

use sealock_auth::neighbourhood;
use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::ready,
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task::yield_now,
};

/// Share of the time of all processors, in percent, up to which an address never waits for others.
const SHARE_PERCENT: u64 = 25;
/// Processor time in milliseconds that an address which was quiet may use at once.
const SHARE_BURST_MILLIS: u64 = 50;
/// How long at most an address waits for others because of what it used before.
const LONGEST_MEMORY: Duration = Duration::from_secs(2);
/// For how long after another address asked somebody is not alone.
const ALONE_AFTER: Duration = Duration::from_secs(1);
/// Most addresses whose use is remembered; more are not told apart from quiet ones.
const MAX_METERS: usize = 50_000;

/// Who may begin. Clones share it: one for all listeners of a process.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    started: Instant,
    processors: u64,
    /// As many as there are processors.
    places: Arc<Semaphore>,
    meters: Mutex<HashMap<IpAddr, Arc<Meter>>>,
    line: Mutex<Line>,
    /// Number of the meter of who asked last, and since when it is theirs.
    latest: AtomicU64,
    latest_since: AtomicU64,
    next_number: AtomicU64,
}

/// What one address uses. Times are nanoseconds since the beginning.
#[derive(Debug)]
struct Meter {
    number: u64,
    /// When all that was used will be its fair share.
    even_at: AtomicU64,
}

type Call = oneshot::Sender<OwnedSemaphorePermit>;

/// Requests that wait, by the number of their address's meter.
#[derive(Debug, Default)]
struct Line {
    /// Those that have begun, from whatever address.
    begun: VecDeque<Call>,
    waiting: HashMap<u64, VecDeque<Call>>,
    /// Whose turn comes next.
    ring: VecDeque<u64>,
    /// Whether somebody calls them up.
    attended: bool,
}

/// One address, as long as it is connected.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    turns: Turns,
    meter: Arc<Meter>,
}

impl Default for Turns {
    fn default() -> Self {
        Self::of_processors(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Turns {
    fn of_processors(processors: usize) -> Self {
        Self(Arc::new(Shared {
            started: Instant::now(),
            processors: processors as u64,
            places: Arc::new(Semaphore::new(processors)),
            meters: Mutex::default(),
            line: Mutex::default(),
            latest: AtomicU64::new(0),
            latest_since: AtomicU64::new(0),
            next_number: AtomicU64::new(1),
        }))
    }

    /// The one who asks from this address.
    pub(crate) fn caller(&self, address: IpAddr) -> Caller {
        let now = self.now();
        let mut meters = lock(&self.0.meters);
        if meters.len() >= MAX_METERS {
            // Who is gone and has used no more than the share is as good as new.
            meters.retain(|_, meter| Arc::strong_count(meter) > 1 || meter.is_ahead(now));
        }
        let fresh = || {
            let number = self.0.next_number.fetch_add(1, Ordering::Relaxed);
            Arc::new(Meter { number, even_at: AtomicU64::new(now) })
        };
        let meter = match meters.len() >= MAX_METERS {
            true => meters.get(&neighbourhood(address)).cloned().unwrap_or_else(fresh),
            false => meters.entry(neighbourhood(address)).or_insert_with(fresh).clone(),
        };
        Caller { turns: self.clone(), meter }
    }

    fn now(&self) -> u64 {
        nanos(self.0.started.elapsed())
    }

    /// Somebody asks.
    fn notice(&self, number: u64, now: u64) {
        if self.0.latest.swap(number, Ordering::Relaxed) != number {
            self.0.latest_since.store(now, Ordering::Relaxed);
        }
    }

    /// Whether nobody else asked a moment ago.
    fn is_alone(&self, number: u64, now: u64) -> bool {
        self.0.latest.load(Ordering::Relaxed) == number
            && now >= self.0.latest_since.load(Ordering::Relaxed) + nanos(ALONE_AFTER)
    }

    fn join(&self, number: u64, begun: bool) -> oneshot::Receiver<OwnedSemaphorePermit> {
        let (call, called) = oneshot::channel();
        let mut line = lock(&self.0.line);
        if begun {
            line.begun.push_back(call);
        } else {
            let waiting = line.waiting.entry(number).or_default();
            waiting.push_back(call);
            if waiting.len() == 1 {
                line.ring.push_back(number);
            }
        }
        if !line.attended {
            line.attended = true;
            tokio::spawn(self.clone().attend());
        }
        called
    }

    /// Calls up one after the other, each when nobody else is ready to run.
    async fn attend(self) {
        loop {
            let Ok(place) = self.0.places.clone().acquire_owned().await else { return };
            // Comes back when the tasks that were ready have run and the network was looked at.
            yield_now().await;
            // And threads that work for others, which the system might let wait for its next tick.
            std::thread::yield_now();
            let Some(next) = lock(&self.0.line).next() else { return };
            // Who has gone away meanwhile gives the place back.
            let _gone = next.send(place);
        }
    }
}

impl Line {
    /// The next one: who has begun, else in turns by address; none when nobody waits, and nobody
    /// attends then.
    fn next(&mut self) -> Option<Call> {
        let begun = std::iter::from_fn(|| self.begun.pop_front()).find(|next| !next.is_closed());
        if begun.is_some() {
            return begun;
        }
        while let Some(number) = self.ring.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&number) else { continue };
            let next = std::iter::from_fn(|| waiting.pop_front()).find(|next| !next.is_closed());
            if waiting.is_empty() {
                self.waiting.remove(&number);
            } else {
                self.ring.push_back(number);
            }
            if next.is_some() {
                return next;
            }
        }
        self.attended = false;
        None
    }
}

impl Meter {
    /// Whether more than the share, and what may be used at once, was used.
    fn is_ahead(&self, now: u64) -> bool {
        let burst = SHARE_BURST_MILLIS * 1_000_000 * 100 / SHARE_PERCENT;
        self.even_at.load(Ordering::Relaxed) > now + burst
    }

    fn charge(&self, used: u64, processors: u64, now: u64) {
        let worth = used.saturating_mul(100) / (SHARE_PERCENT * processors);
        let latest = now + nanos(LONGEST_MEMORY);
        let _changed = self.even_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |even| {
            Some(even.max(now).saturating_add(worth).min(latest))
        });
    }
}

impl Caller {
    /// Runs what the address asks for, whenever it is its turn. A turn ends when the work waits for
    /// something: a slow client, or the disk, holds up nobody.
    pub(crate) async fn begin<F: Future>(&self, work: F) -> F::Output {
        self.turns.notice(self.meter.number, self.turns.now());
        let mut work = pin!(work);
        let (mut waits, mut begun) = (None, false);
        std::future::poll_fn(|context| {
            if waits.is_none() && self.lets_others_go_first() {
                waits = Some(self.turns.join(self.meter.number, begun));
            }
            // Held until the work was polled.
            let _turn = match &mut waits {
                Some(called) => Some(ready!(pin!(called).poll(context))),
                None => None,
            };
            (waits, begun) = (None, true);
            work.as_mut().poll(context)
        })
        .await
    }

    /// Counts the processor time that this work takes as the address's.
    pub(crate) async fn metered<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            let began = self.turns.now();
            let polled = work.as_mut().poll(context);
            let now = self.turns.now();
            self.meter.charge(now.saturating_sub(began), self.turns.0.processors, now);
            polled
        })
        .await
    }

    /// The address was refused for asking too much: it lets others go first for as long as use is
    /// remembered. It was quiet while the refusal was held back, and what it then asks for all at
    /// once would else count for nothing.
    pub(crate) fn asked_too_much(&self) {
        self.meter.charge(u64::MAX, self.turns.0.processors, self.turns.now());
    }

    fn lets_others_go_first(&self) -> bool {
        let now = self.turns.now();
        self.meter.is_ahead(now) && !self.turns.is_alone(self.meter.number, now)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(turns: &Turns, address: &str) -> Caller {
        turns.caller(address.parse().unwrap())
    }

    /// As if it had used so much.
    fn use_up(caller: &Caller, time: Duration) {
        let turns = &caller.turns;
        caller.meter.charge(nanos(time), turns.0.processors, turns.now());
    }

    #[test]
    fn an_address_is_ahead_while_it_uses_more_than_its_share() {
        let turns = Turns::of_processors(2);
        let (one, other) = (caller(&turns, "192.0.2.7"), caller(&turns, "::ffff:192.0.2.7"));
        assert_eq!(one.meter.number, other.meter.number);
        assert_ne!(one.meter.number, caller(&turns, "192.0.2.8").meter.number);
        let second = 1_000_000_000;
        // Half of one processor of two, for ten seconds.
        for tenth in 0..100 {
            one.meter.charge(second / 20, 2, tenth * second / 10);
            assert!(!one.meter.is_ahead(tenth * second / 10), "{tenth}");
        }
        // All of one.
        let mut now = 10 * second;
        for _ in 0..10 {
            now += second / 10;
            one.meter.charge(second / 10, 2, now);
        }
        assert!(one.meter.is_ahead(now));
        // What is over is over.
        one.meter.charge(3_600 * second, 2, now);
        assert!(!one.meter.is_ahead(now + nanos(LONGEST_MEMORY)));
    }

    #[tokio::test]
    async fn who_is_ahead_lets_others_go_first() {
        let turns = Turns::of_processors(1);
        let (greedy, good) = (caller(&turns, "192.0.2.7"), caller(&turns, "192.0.2.8"));
        use_up(&greedy, Duration::from_secs(1));
        good.begin(async {}).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for who in [&greedy, &greedy, &greedy, &good, &good] {
            let (who, order) = (who.clone(), order.clone());
            tasks.spawn(async move {
                let number = who.meter.number;
                who.begin(async { lock(&order).push(number) }).await;
            });
        }
        tasks.join_all().await;
        let [bad, well] = [greedy.meter.number, good.meter.number];
        assert_eq!(*lock(&order), [well, well, bad, bad, bad]);
        assert!(lock(&turns.0.line).waiting.is_empty());
    }

    #[tokio::test]
    async fn who_was_refused_lets_others_go_first_when_it_comes_again() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let refuse = axum::routing::get(async || http::StatusCode::TOO_MANY_REQUESTS);
        let app = axum::Router::new().route("/", refuse);
        let app = crate::around(app, Arc::default());
        let limits =
            crate::ListenerLimits { turns: Turns::of_processors(64), ..Default::default() };
        let asker = caller(&limits.turns, "127.0.0.1");
        let end = std::future::pending();
        let server = tokio::spawn(crate::serve(listener, None, app, limits, end));
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let ask = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        let now = asker.turns.now();
        assert!(asker.meter.is_ahead(now + nanos(LONGEST_MEMORY) / 2));
        assert!(!asker.meter.is_ahead(now + nanos(LONGEST_MEMORY)), "but not for ever");
        server.abort();
    }

    #[tokio::test]
    async fn who_is_alone_waits_for_nobody() {
        let mut turns = Turns::of_processors(1);
        // The last one who was somebody else asked long ago.
        Arc::get_mut(&mut turns.0).unwrap().started -= 2 * ALONE_AFTER;
        let greedy = caller(&turns, "192.0.2.7");
        turns.0.latest.store(greedy.meter.number, Ordering::Relaxed);
        use_up(&greedy, Duration::from_secs(1));
        let _place = turns.0.places.clone().acquire_owned().await.unwrap();
        greedy.begin(async {}).await;
    }

    #[tokio::test]
    async fn addresses_that_are_ahead_take_turns() {
        let turns = Turns::of_processors(1);
        let callers = ["192.0.2.7", "192.0.2.8", "192.0.2.9"].map(|text| caller(&turns, text));
        callers.iter().for_each(|caller| use_up(caller, Duration::from_secs(1)));
        let busy = turns.0.places.clone().acquire_owned().await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        // The first has many requests, one of which is given up.
        for who in [0, 0, 0, 0, 1, 2] {
            let (caller, order) = (callers[who].clone(), order.clone());
            tasks.spawn(async move { caller.begin(async { lock(&order).push(who) }).await });
            yield_now().await;
        }
        let given_up = tokio::time::timeout(Duration::from_millis(1), callers[1].begin(async {}));
        assert!(given_up.await.is_err());
        drop(busy);
        tasks.join_all().await;
        assert_eq!(*lock(&order), [0, 1, 2, 0, 0, 0]);
    }

    #[tokio::test]
    async fn who_waits_for_something_holds_up_nobody() {
        let turns = Turns::of_processors(1);
        let (slow, other) = (caller(&turns, "192.0.2.7"), caller(&turns, "192.0.2.8"));
        for caller in [&slow, &other] {
            use_up(caller, Duration::from_secs(1));
        }
        other.turns.notice(other.meter.number, turns.now());
        let stuck = tokio::spawn(async move { slow.begin(std::future::pending::<()>()).await });
        yield_now().await;
        other.begin(async {}).await;
        stuck.abort();
    }

    #[tokio::test]
    async fn what_has_begun_lets_others_go_first_each_time() {
        let turns = Turns::of_processors(1);
        let (greedy, good) = (caller(&turns, "192.0.2.7"), caller(&turns, "192.0.2.8"));
        use_up(&greedy, Duration::from_secs(1));
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for name in ["first", "second"] {
            let (greedy, good, order) = (greedy.clone(), good.clone(), order.clone());
            tasks.spawn(async move {
                let work = async {
                    for piece in 0..3 {
                        lock(&order).push((name, piece));
                        // Somebody else asks while it works.
                        let (good, order) = (good.clone(), order.clone());
                        tokio::spawn(async move {
                            good.begin(async { lock(&order).push(("good", piece)) }).await;
                        });
                        yield_now().await;
                    }
                };
                greedy.begin(work).await;
            });
        }
        tasks.join_all().await;
        let order = lock(&order);
        assert_eq!(order.len(), 12);
        for pair in order.chunks(2) {
            assert_ne!(pair[0].0, "good", "{order:?}");
            assert_eq!(pair[1], ("good", pair[0].1), "{order:?}");
        }
    }

    #[tokio::test]
    async fn what_has_begun_comes_before_what_has_not() {
        let turns = Turns::of_processors(1);
        let busy = turns.0.places.clone().acquire_owned().await.unwrap();
        let (fresh, begun) = (turns.join(1, false), turns.join(2, true));
        yield_now().await;
        drop(busy);
        let first = tokio::select! {
            biased;
            _ = fresh => "what has not begun",
            _ = begun => "what has begun",
        };
        assert_eq!(first, "what has begun");
    }

    #[test]
    fn memory_is_bounded() {
        let turns = Turns::of_processors(1);
        let kept = caller(&turns, "192.0.2.7");
        for number in 0..60_000_u32 {
            turns.caller(IpAddr::from((number | 0x0a00_0000).to_be_bytes()));
        }
        assert!(lock(&turns.0.meters).len() <= MAX_METERS);
        assert_eq!(caller(&turns, "192.0.2.7").meter.number, kept.meter.number);
    }
}
