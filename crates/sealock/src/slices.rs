//! How soon the threads that answer requests get a processor.
//!
//! Linux lets a thread run for a slice, some milliseconds, before another one that is ready has its
//! turn; who asks for shorter slices waits for less of the others'. Requests take microseconds of
//! a worker thread; what takes long (a password's hash, an archive, the disk) runs on threads of
//! its own, whose slices stay as they are. So a request does not wait until one of those, or
//! another program, has used up its slice.

/// The shortest slice that Linux gives, in nanoseconds.
#[cfg(target_os = "linux")]
const SLICE_NANOS: u64 = 100_000;

/// Gives this thread short slices; those that it starts have the usual ones.
#[cfg(target_os = "linux")]
pub(crate) fn shorten() {
    let attributes = libc::sched_attr {
        size: u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(0),
        sched_policy: libc::SCHED_OTHER.unsigned_abs(),
        sched_flags: libc::SCHED_FLAG_RESET_ON_FORK.unsigned_abs().into(),
        // Which the call would else change as well.
        sched_nice: rustix::process::getpriority_process(None).unwrap_or(0),
        sched_priority: 0,
        sched_runtime: SLICE_NANOS,
        sched_deadline: 0,
        sched_period: 0,
    };
    #[expect(unsafe_code, reason = "no library offers this call")]
    // SAFETY: the kernel reads as many bytes as the structure says that it has, and keeps none.
    let _refused = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

/// Elsewhere the system shares the processors as it sees fit.
#[cfg(not(target_os = "linux"))]
pub(crate) const fn shorten() {}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    /// Of this thread: its niceness, and its slice in nanoseconds; 0 before Linux 6.12.
    #[expect(unsafe_code, reason = "no library offers this call")]
    fn told() -> (i32, u64) {
        let size = u32::try_from(size_of::<libc::sched_attr>()).unwrap();
        // SAFETY: all of its fields are numbers.
        let mut told: libc::sched_attr = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes as many bytes as it is told that there are.
        let done = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut told, size, 0) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        (told.sched_nice, told.sched_runtime)
    }

    #[test]
    fn the_threads_of_the_runtime_have_short_slices_and_those_that_they_start_have_not() {
        let usual = told();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(super::shorten)
            .build()
            .unwrap();
        let worker = runtime.spawn(async { (told(), std::thread::spawn(told).join().unwrap()) });
        let (worker, started) = runtime.block_on(worker).unwrap();
        // To which a worker's tasks go when it waits.
        let other = runtime.block_on(runtime.spawn_blocking(told)).unwrap();
        let shorter = if usual.1 == 0 { 0 } else { super::SLICE_NANOS };
        assert_eq!([worker, other], [(usual.0, shorter); 2]);
        assert_eq!([started, told()], [usual; 2]);
    }
}
