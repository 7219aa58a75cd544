//! The words of the command line.

use crate::commands::{
    admission, advisories, affected, artifact, audit, cluster, decision, fsck, gc, policy, project,
    promote, promotions, quarantine, scan, serve, session, token, user, waiver,
};
use crate::{failure::EXIT_CODES, output::Format};
use clap::{Args, Parser, Subcommand};

fn after_help() -> String {
    let codes = EXIT_CODES.map(|(code, means)| format!("{code} {means}"));
    format!(
        "Exit codes: {}.\n\nA server is named by --url or SEALOCK_URL. Who you are comes from \
         SEALOCK_USER and SEALOCK_PASSWORD, else from what `docker login`, `podman login` or \
         `skopeo login` stored.",
        codes.join("; ")
    )
}

/// One gate for container images: registry, scanner, signature verifier, promotion and admission.
#[derive(Debug, Parser)]
#[command(name = "sealock", version, after_help = after_help(), max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command that talks to a server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The server.
    #[arg(long, global = true, env = "SEALOCK_URL", default_value = "http://127.0.0.1:5000")]
    pub(crate) url: url::Url,
    /// User or robot to log in as.
    #[arg(long, global = true, env = "SEALOCK_USER")]
    pub(crate) user: Option<String>,
    /// Read the password from standard input instead of SEALOCK_PASSWORD.
    #[arg(long, global = true)]
    pub(crate) password_stdin: bool,
    /// A PEM file of certificates to trust besides the system's.
    #[arg(long, global = true, env = "SEALOCK_CA_FILE")]
    pub(crate) ca_file: Option<std::path::PathBuf>,
    /// How to print results.
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// No progress bars.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one value of it in a process")]
pub(crate) enum Command {
    /// Run the server.
    Serve(serve::Serve),
    /// Check a stopped server's data, and repair it.
    Fsck(fsck::Fsck),
    /// Find vulnerable components in an image of the server, an OCI layout or a root filesystem.
    Scan(scan::Scan),
    /// Print the CycloneDX SBOM of an image, an OCI layout or a root filesystem.
    Sbom(scan::Sbom),
    /// Show an image: contents, findings, signatures, attestations.
    Show(artifact::Show),
    /// Explain what each door says about an image, and why.
    Verify(artifact::Verify),
    /// Copy an image into a higher tier, if the gate allows it.
    Promote(promote::Promote),
    /// List what was promoted, newest first.
    Promotions(promotions::Promotions),
    /// Print everything that is known and was decided about a digest, as one document.
    Evidence(artifact::Evidence),
    /// Ask which images contain a vulnerability or a package.
    Affected(affected::Affected),
    /// Exceptions from findings: one person asks, another grants.
    #[command(subcommand)]
    Waiver(waiver::Command),
    /// Ban a digest everywhere.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Quarantine a digest, delete it everywhere, and list who pulled it or had it admitted.
    Eradicate(quarantine::Eradicate),
    /// Decisions of the gate: list, show, export, replay.
    #[command(subcommand)]
    Decision(decision::Command),
    /// Projects, their members, robots and keys.
    #[command(subcommand)]
    Project(project::Command),
    /// People.
    #[command(subcommand)]
    User(user::Command),
    /// Where people are logged in with a browser.
    #[command(subcommand)]
    Session(session::Command),
    /// Personal access tokens, to use in place of your password.
    #[command(subcommand)]
    Token(token::Command),
    /// Policy documents.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Vulnerability data.
    #[command(subcommand)]
    Advisories(advisories::Command),
    /// Clusters that ask whether an image may run.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Kubernetes admission.
    #[command(subcommand)]
    Admission(admission::Command),
    /// Free the space of what nothing refers to any more (system administrators).
    Gc(gc::Gc),
    /// Who did what, when, from where.
    Audit(audit::Audit),
    /// Print a shell completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}
