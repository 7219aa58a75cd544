//! The threads that hash passwords, and the memory in which they do.
//!
//! A hash takes 19 MiB. Taken from the system for each one and given back, they cost it 5,000 page
//! faults, in which Linux lets no other thread have the processor: beside somebody who guesses
//! passwords others would wait for them. So a thread keeps its memory for a while.

use crate::{AuthError, Randomness};
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread::{self, ThreadId},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most password hashes at once: each takes 19 MiB and some tens of milliseconds of a core.
const MAX_AT_ONCE: usize = 4;
/// Longest wait for a place.
const WAIT: Duration = Duration::from_secs(5);
/// How long a thread without work keeps its memory.
const KEEP: Duration = Duration::from_secs(10);
/// Niceness of these threads: a busy core gives them about a tenth of its time.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// What a hash is computed in: one of argon2's blocks is 1 KiB.
#[derive(Default)]
pub(crate) struct Memory(Vec<Block>);

type Work = Box<dyn FnOnce(&mut Memory) -> OwnedSemaphorePermit + Send>;

/// The threads. Clones share them.
#[derive(Clone)]
pub(crate) struct Hashers {
    places: Arc<Semaphore>,
    idle: Arc<Idle>,
}

/// Threads that wait for work, those that waited least last. Work goes to these: the system lets a
/// thread that has waited catch up, and meanwhile others would wait for it.
#[derive(Default)]
struct Idle(Mutex<Vec<(ThreadId, SyncSender<Work>)>>);

const STOPPED: AuthError = AuthError::Crypto("the password hash was stopped");

impl Hashers {
    /// As many at once as there are processors, and four at most.
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::of_places(cores.min(MAX_AT_ONCE))
    }

    fn of_places(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), idle: Arc::default() }
    }

    /// What `work` returns, which runs on a thread that stays behind all others.
    /// [`AuthError::Busy`] if no thread has time for it for seconds.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, AuthError> {
        let place = tokio::time::timeout(WAIT, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(AuthError::Busy);
        };
        let (tell, told) = tokio::sync::oneshot::channel();
        self.idle.give(Box::new(move |memory| {
            // Whoever asked may be gone.
            let _told = tell.send(work(memory));
            // Held by the work itself, so that a caller who goes away frees no place early.
            place
        }))?;
        told.await.map_err(|_| STOPPED)
    }
}

impl Idle {
    fn threads(&self) -> MutexGuard<'_, Vec<(ThreadId, SyncSender<Work>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `work` to a thread that waits for some, or else to a new one.
    fn give(self: &Arc<Self>, work: Work) -> Result<(), AuthError> {
        let found = self.threads().pop();
        let work = match found {
            None => work,
            Some((_, thread)) => match thread.try_send(work) {
                Ok(()) => return Ok(()),
                // Not seen: who is in the list waits.
                Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) => work,
            },
        };
        let (idle, builder) = (self.clone(), thread::Builder::new().name("password".to_owned()));
        builder.spawn(move || idle.serve(work)).map(drop).map_err(|_| STOPPED)
    }

    /// A thread's life: its first work, and more of it until there was none for a while.
    fn serve(&self, first: Work) {
        step_back();
        let own = thread::current().id();
        let (give, given) = mpsc::sync_channel(1);
        let mut memory = Memory::default();
        let mut next = Some(first);
        while let Some(work) = next {
            let place = work(&mut memory);
            self.threads().push((own, give.clone()));
            // Whoever has the place next finds this thread.
            drop(place);
            next = given.recv_timeout(KEEP).ok().or_else(|| self.leave(own, &given));
        }
    }

    /// Takes a thread out of the list; the work that it was given in this moment if it is no longer
    /// in it.
    fn leave(&self, own: ThreadId, given: &Receiver<Work>) -> Option<Work> {
        let mut threads = self.threads();
        let before = threads.len();
        threads.retain(|(thread, _)| *thread != own);
        let left = threads.len() < before;
        drop(threads);
        if left { None } else { given.recv().ok() }
    }
}

/// The rest of this thread gets what the processors have left, and a little more: who guesses
/// passwords takes no time from those who push and pull.
#[cfg(target_os = "linux")]
fn step_back() {
    // None is the calling thread. Refused, it only is as quick as the others.
    let _refused = rustix::process::setpriority_process(None, NICENESS);
}

/// Elsewhere a priority belongs to the whole process.
#[cfg(not(target_os = "linux"))]
const fn step_back() {}

impl Memory {
    /// The argon2id hash of a password in PHC form (19 MiB, 2 passes, 1 lane: OWASP's choice).
    pub(crate) fn hash(
        &mut self,
        password: &str,
        random: &dyn Randomness,
    ) -> Result<String, AuthError> {
        const FAILED: AuthError = AuthError::Crypto("the password cannot be hashed");
        let mut salt = [0; 16];
        random.fill(&mut salt)?;
        let params = Params::default();
        let shown = ParamsString::try_from(&params).map_err(|_| FAILED)?;
        let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
        self.fill(Algorithm::default(), Version::default(), params, password, &salt, &mut out)
            .ok_or(FAILED)?;
        let hash = PasswordHash {
            algorithm: Algorithm::default().ident(),
            version: Some(Version::default().into()),
            params: shown,
            salt: Some(Salt::new(&salt).map_err(|_| FAILED)?),
            hash: Some(Output::new(&out).map_err(|_| FAILED)?),
        };
        Ok(hash.to_string())
    }

    /// Whether `password` is the one that `stored` was made from, a hash in PHC form.
    pub(crate) fn is_of(&mut self, stored: &str, password: &str) -> bool {
        self.compare(stored, password).unwrap_or(false)
    }

    /// None if `stored` is no hash.
    fn compare(&mut self, stored: &str, password: &str) -> Option<bool> {
        let stored = PasswordHash::new(stored).ok()?;
        let (salt, expected) = (stored.salt?, stored.hash?);
        let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
        let version = stored.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
        let params = Params::try_from(&stored).ok()?;
        let mut out = [0; Output::MAX_LENGTH];
        let out = out.get_mut(..expected.len())?;
        self.fill(algorithm, version, params, password, &salt, out)?;
        // Outputs are compared in constant time.
        Some(Output::new(out).ok()? == expected)
    }

    fn fill(
        &mut self,
        algorithm: Algorithm,
        version: Version,
        params: Params,
        password: &str,
        salt: &[u8],
        out: &mut [u8],
    ) -> Option<()> {
        self.0.resize(params.block_count(), Block::default());
        let argon2 = Argon2::new(algorithm, version, params);
        let filled =
            argon2.hash_password_into_with_memory(password.as_bytes(), salt, out, &mut self.0);
        filled.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRandomness;
    use argon2::{PasswordHasher as _, PasswordVerifier as _};

    #[test]
    fn hashes_are_those_of_the_library_in_memory_that_was_used_before() {
        let mut memory = Memory::default();
        for password in ["correct horse", "battery staple", ""] {
            let ours = memory.hash(password, &SystemRandomness).unwrap();
            let read = PasswordHash::new(&ours).unwrap();
            Argon2::default().verify_password(password.as_bytes(), &read).unwrap();
            assert!(memory.is_of(&ours, password) && !memory.is_of(&ours, "correct hors"));
            let theirs = Argon2::default()
                .hash_password_with_salt(password.as_bytes(), &[7; 16])
                .unwrap()
                .to_string();
            assert!(memory.is_of(&theirs, password) && !memory.is_of(&theirs, "another"));
        }
        let cheap = Argon2::from(Params::new(64, 1, 1, Some(16)).unwrap());
        let cheap = cheap.hash_password_with_salt(b"correct horse", &[7; 16]).unwrap().to_string();
        assert!(memory.is_of(&cheap, "correct horse") && !memory.is_of(&cheap, "another"));
        for bad in ["", "no hash", "$argon2id$v=19$m=19456,t=2,p=1", "$scrypt$ln=1$c2FsdA$aGFzaA"] {
            assert!(!memory.is_of(bad, "correct horse"), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_thread_does_one_work_after_another_and_a_panic_of_one_frees_its_place() {
        let hashers = Hashers::of_places(1);
        let who = |_: &mut Memory| thread::current().id();
        let first = hashers.run(who).await.unwrap();
        for _ in 0..20 {
            assert_eq!(hashers.run(who).await.unwrap(), first);
        }
        let stopped = hashers.run(|_| -> () { panic!("on purpose") }).await;
        assert!(matches!(stopped, Err(AuthError::Crypto(_))), "{stopped:?}");
        let after = hashers.run(who).await.unwrap();
        assert_ne!(after, first, "the thread that panicked is gone");
        assert_eq!(hashers.run(who).await.unwrap(), after);
    }

    #[tokio::test]
    async fn a_thread_that_leaves_does_the_work_that_it_was_given_in_this_moment() {
        let hashers = Hashers::of_places(1);
        let own = hashers.run(|_| thread::current().id()).await.unwrap();
        while hashers.places.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        let (give, given) = mpsc::sync_channel(1);
        *hashers.idle.threads() = vec![(own, give)];
        assert!(hashers.idle.leave(own, &given).is_none(), "nobody gave it any");
        let (give, given) = mpsc::sync_channel::<Work>(1);
        let place = hashers.places.clone().acquire_owned().await.unwrap();
        give.send(Box::new(|_| place)).unwrap();
        assert!(hashers.idle.leave(own, &given).is_some());
    }

    #[tokio::test]
    async fn many_works_at_once_are_all_done_and_no_more_at_a_time_than_there_are_places() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let hashers = Hashers::of_places(3);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..200 {
            let (hashers, now, most) = (hashers.clone(), now.clone(), most.clone());
            tasks.spawn(async move {
                let work = move |_: &mut Memory| {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::park_timeout(Duration::from_micros(number % 7 * 100));
                    now.fetch_sub(1, Ordering::SeqCst);
                    number
                };
                hashers.run(work).await.unwrap()
            });
        }
        assert_eq!(tasks.join_all().await.into_iter().sum::<u64>(), 199 * 100);
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    }
}
