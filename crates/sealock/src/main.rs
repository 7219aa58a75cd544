//! The binary: command line, configuration, wiring, health, metrics.

mod advisory_store;
mod cli;
mod client;
mod commands;
mod failure;
mod files;
mod moment;
mod output;
#[cfg(test)]
mod reference;
mod server;
mod slices;
mod target;

use anyhow::Result;
use clap::{CommandFactory, Parser};
use cli::{Cli, Command, Global};
use commands::{
    Context, admission, advisories, affected, artifact, audit, cluster, decision, fsck, gc, policy,
    project, promote, promotions, quarantine, scan, serve, session, token, user, waiver,
};
use std::{process::ExitCode, time::Duration};

/// How long threads may go on after the work is done.
const LAST_THREADS: Duration = Duration::from_millis(500);

/// Blocks from this size on are given back to the system as soon as they are free, in bytes. Larger
/// than any buffer of a request, smaller than the memory that hashing one password takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK_BYTES: libc::c_int = 8 * 1024 * 1024;
/// Free memory that is kept for the next request before the rest is given back, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_BYTES: libc::c_int = 16 * 1024 * 1024;

/// How many tasks a busy worker thread goes on with before it looks for requests that have arrived
/// meanwhile, and for what other threads have done: hashed, or written to the disk. By itself it
/// looks for requests every 61 tasks, and takes up what others have done every fifth of a
/// millisecond: who asks, or pushes, beside somebody that keeps it busy would wait for milliseconds
/// before anybody knows of it. A look for requests costs a hundredth of four tasks.
const TURNS_UNHEARD: u32 = 4;

fn main() -> ExitCode {
    set_allocator();
    let cli = Cli::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().on_thread_start(slices::shorten);
    runtime.event_interval(TURNS_UNHEARD).global_queue_interval(TURNS_UNHEARD);
    let runtime = match runtime.build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&error.into()),
    };
    let ended = runtime.block_on(run(cli));
    // A thread that still waits, say for the rest of an upload, does not keep the process.
    runtime.shutdown_timeout(LAST_THREADS);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// Tells the C library how this process takes memory. By itself it
///
/// - takes a large block that was freed for one that will be wanted again, and keeps the 19 MiB
///   that the first log-ins are hashed in for ever;
/// - gives memory back, and takes it anew, with each buffer of a request, once it is told the
///   above;
/// - has an arena for each of the many threads that wait for the disk, each with what it has freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn set_allocator() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let settings = [
        (libc::M_MMAP_THRESHOLD, GIVEN_BACK_BYTES),
        (libc::M_TRIM_THRESHOLD, KEPT_BYTES),
        (libc::M_ARENA_MAX, libc::c_int::try_from(cores).unwrap_or(libc::c_int::MAX)),
    ];
    for (setting, value) in settings {
        #[expect(unsafe_code, reason = "the C library offers these settings in no other way")]
        // SAFETY: `mallopt` only writes a setting, and no other thread runs yet.
        let _refused = unsafe { libc::mallopt(setting, value) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn set_allocator() {}

/// Says what went wrong, on standard error, and picks the exit code.
fn report(error: &anyhow::Error) -> ExitCode {
    output::note(&format!("sealock: {error:#}"));
    let code = error.downcast_ref::<failure::Failure>().map_or(1, |failure| failure.exit_code);
    ExitCode::from(code)
}

async fn run(cli: Cli) -> Result<()> {
    let Cli { global, command } = cli;
    let context = || context(&global);
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Fsck(args) => fsck::run(&global, args).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "sealock", &mut script);
            output::print(&String::from_utf8_lossy(&script))
        }
        Command::Scan(args) => scan::scan(&global, args).await,
        Command::Sbom(args) => scan::sbom(&global, args).await,
        Command::Policy(command @ (policy::Command::Validate { .. } | policy::Command::Schema)) => {
            policy::offline(global.output, command)
        }
        Command::Policy(command) => policy::run(&context()?, command).await,
        Command::Show(args) => artifact::show(&context()?, args).await,
        Command::Verify(args) => artifact::verify(&context()?, args).await,
        Command::Evidence(args) => artifact::evidence(&context()?, args).await,
        Command::Promote(args) => promote::run(&context()?, args).await,
        Command::Promotions(args) => promotions::run(&context()?, args).await,
        Command::Affected(args) => affected::run(&context()?, args).await,
        Command::Waiver(command) => waiver::run(&context()?, command).await,
        Command::Quarantine(command) => quarantine::run(&context()?, command).await,
        Command::Eradicate(args) => quarantine::eradicate(&context()?, args).await,
        Command::Decision(command) => decision::run(&context()?, command).await,
        Command::Project(command) => project::run(&context()?, command).await,
        Command::User(user::Command::ResetPassword(args)) => {
            user::reset_password(global.output, args).await
        }
        Command::User(command) => user::run(&context()?, command).await,
        Command::Token(command) => token::run(&context()?, command).await,
        Command::Session(command) => session::run(&context()?, command).await,
        Command::Advisories(command) => advisories::run(&global, command).await,
        Command::Cluster(command) => cluster::run(&context()?, command).await,
        Command::Admission(command) => admission::run(&context()?, command).await,
        Command::Gc(args) => gc::run(&global, &context()?, args).await,
        Command::Audit(args) => audit::run(&context()?, args).await,
    }
}

fn context(global: &Global) -> Result<Context> {
    Ok(Context { client: client::Client::new(global)?, format: global.output })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An argument of a command that has the id of a global option would silently take its place.
    #[test]
    fn no_argument_hides_a_global_option() {
        fn look(command: &clap::Command, globals: &[String]) {
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str().to_owned();
                let name = command.get_name();
                assert!(argument.is_global_set() || !globals.contains(&id), "{name}: {id}");
            }
            for inner in command.get_subcommands() {
                look(inner, globals);
            }
        }
        let command = Cli::command();
        command.clone().debug_assert();
        let globals: Vec<String> = command
            .get_arguments()
            .filter(|argument| argument.is_global_set())
            .map(|argument| argument.get_id().to_string())
            .collect();
        assert!(globals.contains(&"user".to_owned()));
        for inner in command.get_subcommands() {
            look(inner, &globals);
        }
    }
}
