//! A real `sealock serve` in a process of its own, on a free port, with a data directory that ends
//! with the test.

use std::{
    env,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::{clients::run, http::Http, skips};

/// The password of `admin` on every server that a test starts.
pub const ADMIN_PASSWORD: &str = "correct-horse-battery-staple-1";

/// How long a server may take until it answers, including its first migration on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What a server is started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Database address; SQLite in the data directory if absent.
    pub database: Option<String>,
    /// Also listen for Kubernetes admission, over TLS.
    pub admission: bool,
    /// Serve the registry over TLS with these files.
    pub tls: Option<TlsFiles>,
    /// Let the server make the password of `admin`.
    pub generated_password: bool,
    /// More environment.
    pub environment: Vec<(String, String)>,
    /// Let the server log into a pipe that nobody reads before [`Server::read_log_pipe`].
    pub log_pipe: bool,
    /// Keep the data on a file system of this size, in MiB, which ends with the server; see
    /// [`Server::start_on_small_disk`].
    pub disk_mib: Option<u32>,
}

/// What a TLS listener needs and what its clients trust, as PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate authority.
    pub authority: PathBuf,
    /// A certificate for loopback under it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Makes an authority and a certificate for `localhost` and `127.0.0.1` in `directory`.
    ///
    /// # Panics
    /// If they cannot be made.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        let names = || vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "test authority");
        let authority_key = KeyPair::generate().expect("a key");
        let authority_pem = authority.self_signed(&authority_key).expect("an authority").pem();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(names()).expect("names");
        let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).expect("a PEM file");
            path
        };
        Self {
            authority: write("ca.pem", authority_pem),
            certificate: write("tls.pem", leaf.pem()),
            key: write("tls.key", key.serialize_pem()),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    log_pipe: Option<std::io::PipeReader>,
    /// Where the registry listens.
    pub address: SocketAddr,
    /// Where the admission webhooks listen, if they do.
    pub admission_address: SocketAddr,
    options: Options,
    directory: TempDir,
}

impl Server {
    /// Starts a server on SQLite.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts a server on a PostgreSQL database of its own; `None` after a permitted skip.
    #[must_use]
    pub fn start_on_postgres() -> Option<Self> {
        let options = Options { database: Some(new_postgres_database()?), ..Options::default() };
        Some(Self::start_with(options))
    }

    /// Starts a server whose data lie on a small file system of their own; `None` after a permitted
    /// skip.
    #[must_use]
    pub fn start_on_small_disk(options: Options) -> Option<Self> {
        let try_it = Command::new("unshare")
            .args(["-Urm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"])
            .stderr(Stdio::null())
            .status();
        if !try_it.is_ok_and(|status| status.success()) {
            skips::skip("small-disk", "Allow user namespaces (unshare -Urm).");
            return None;
        }
        Some(Self::start_with(options))
    }

    /// A path as the server's process sees it: its file system may be its own.
    ///
    /// # Panics
    /// If the server does not run.
    #[must_use]
    pub fn inside(&self, path: &Path) -> PathBuf {
        let process = self.child.as_ref().expect("the server runs").id();
        let path = path.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(process.to_string()).join("root").join(path)
    }

    /// Starts a server with these options and waits until it answers.
    ///
    /// # Panics
    /// If it does not come up; its log is printed.
    #[must_use]
    pub fn start_with(options: Options) -> Self {
        let mut server = Self {
            child: None,
            log_pipe: None,
            address: free_address(),
            admission_address: free_address(),
            options,
            directory: TempDir::with_prefix("sealock-test-").expect("a temporary directory"),
        };
        server.restart();
        server
    }

    /// Starts the server again with the same data and address, after [`Server::kill`] or
    /// [`Server::terminate`].
    ///
    /// # Panics
    /// If it does not come up; its log is printed.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the server still runs");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log");
        let mut command = match self.options.disk_mib {
            None => Command::new(binary()),
            Some(mib) => {
                std::fs::create_dir_all(self.data_directory()).expect("a place to mount");
                let mount = format!("mount -t tmpfs -o size={mib}m tmpfs \"$0\" && exec \"$@\"");
                let mut command = Command::new("unshare");
                command.args(["-Urm", "sh", "-c", &mount]).arg(self.data_directory());
                command.arg(binary());
                command
            }
        };
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(self.data_directory())
            .args(["--listen", &self.address.to_string()])
            .env_remove("SEALOCK_ADMIN_PASSWORD")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"));
        if self.options.log_pipe {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            self.log_pipe = Some(reader);
            command.stderr(writer);
        } else {
            command.stderr(log);
        }
        if !self.options.generated_password {
            command.env("SEALOCK_ADMIN_PASSWORD", ADMIN_PASSWORD);
        }
        if let Some(database) = &self.options.database {
            command.args(["--database-url", database]);
        }
        if self.options.admission {
            command.args(["--admission-listen", &self.admission_address.to_string()]);
        } else {
            command.arg("--no-admission");
        }
        if let Some(tls) = &self.options.tls {
            command.arg("--tls-cert").arg(&tls.certificate).arg("--tls-key").arg(&tls.key);
        }
        for (name, value) in &self.options.environment {
            command.env(name, value);
        }
        self.child = Some(command.spawn().expect("the server starts"));
        self.wait_until_healthy();
    }

    fn wait_until_healthy(&mut self) {
        let http = self.http();
        let begin = Instant::now();
        loop {
            if http.get("/health").is_ok_and(|response| response.status().is_success()) {
                return;
            }
            let child = self.child.as_mut().expect("a child");
            if let Some(status) = child.try_wait().expect("a child's status") {
                panic!("the server ended: {status}\n{}", self.log());
            }
            assert!(begin.elapsed() < START_LIMIT, "the server does not answer\n{}", self.log());
            pause(Duration::from_millis(20));
        }
    }

    /// Ends the server as a power cut would: SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("SIGKILL");
        child.wait().expect("the child ends");
    }

    /// Ends the server as an operator would: SIGTERM.
    ///
    /// # Panics
    /// If it does not end in time, or not well.
    pub fn terminate(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        run("kill", &["-TERM", &child.id().to_string()]).ok();
        let begin = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a child's status") {
                assert!(status.success(), "{status} after SIGTERM\n{}", self.log());
                return;
            }
            if begin.elapsed() > STOP_LIMIT {
                child.kill().expect("SIGKILL");
                panic!("the server ignores SIGTERM\n{}", self.log());
            }
            pause(Duration::from_millis(20));
        }
    }

    /// Sends SIGTERM twice, half a second apart, and waits for the end.
    ///
    /// # Panics
    /// If the server does not run.
    pub fn terminate_twice(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        for _ in 0..2 {
            run("kill", &["-TERM", &child.id().to_string()]).ok();
            pause(Duration::from_millis(500));
        }
        child.wait().expect("the child ends")
    }

    /// The number of the server's process.
    ///
    /// # Panics
    /// If the server does not run.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// Whether the server's process is still there.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("a status").is_none())
    }

    /// `127.0.0.1:PORT`, as it stands in image names.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:PORT` or `https://...`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// A client without credentials.
    #[must_use]
    pub fn http(&self) -> Http {
        let http = Http::new(&self.url());
        match &self.options.tls {
            Some(tls) => http.trusting(&tls.authority),
            None => http,
        }
    }

    /// A client as `admin`.
    #[must_use]
    pub fn admin(&self) -> Http {
        self.http().with_user("admin", ADMIN_PASSWORD)
    }

    /// The PostgreSQL database that it uses, if it does.
    #[must_use]
    pub fn database(&self) -> Option<String> {
        self.options.database.clone()
    }

    /// Where the server keeps everything.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A directory beside the data, for whatever a test needs.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.directory.path()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    /// What the server logs from now on into a pipe, until it ends.
    ///
    /// # Panics
    /// If it was not started with [`Options::log_pipe`], or was read before.
    pub fn read_log_pipe(&mut self) -> std::thread::JoinHandle<String> {
        let pipe = self.log_pipe.take().expect("a pipe");
        std::thread::spawn(move || std::io::read_to_string(pipe).expect("a log of UTF-8"))
    }

    /// What the server has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().rev().take(40).collect();
            println!("---- the server's last lines ----");
            lines.iter().rev().for_each(|line| println!("{line}"));
        }
    }
}

/// The binary under test: `SEALOCK_BIN`, else the one that was built beside this test.
///
/// # Panics
/// If it has not been built.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = env::var_os("SEALOCK_BIN") {
        return path.into();
    }
    // target/debug/deps/TEST -> target/debug/sealock
    let test = env::current_exe().expect("a test knows its path");
    let path = test.ancestors().nth(2).expect("target/PROFILE").join("sealock");
    assert!(path.is_file(), "{} is missing: cargo build --bin sealock", path.display());
    path
}

/// An address on loopback that nobody listens on.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound address")
}

/// Databases that this process has made.
static DATABASES: AtomicU64 = AtomicU64::new(0);

/// Creates a database and returns its address; `None` after a permitted skip.
#[must_use]
pub fn new_postgres_database() -> Option<String> {
    let Ok(admin) = env::var("SEALOCK_TEST_POSTGRES") else {
        skips::skip("postgresql", "Run the tests by `make test`.");
        return None;
    };
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let name = format!("whole_{}_{number}", std::process::id());
    run("psql", &[&admin, "-qc", &format!("CREATE DATABASE {name}")]).ok();
    let (before, query) = admin.split_once('?').unwrap_or((&admin, ""));
    let server = before.rsplit_once('/').expect("an address with a database").0;
    Some(format!("{server}/{name}?{query}"))
}

/// Waits; a test's own thread may block.
#[expect(clippy::disallowed_methods, reason = "a test's own thread, no runtime's worker")]
pub fn pause(time: Duration) {
    thread::sleep(time);
}

/// Tries again until `condition` gives something, for at most `limit`.
///
/// # Panics
/// If it never does.
pub fn eventually<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        pause(Duration::from_millis(50));
    }
}
