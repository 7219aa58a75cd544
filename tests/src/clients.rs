//! The real clients, each with a home, logins and storage of its own, so that no test sees
//! another's or the machine's.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use base64::Engine as _;
use tempfile::TempDir;

use crate::{
    server::{ADMIN_PASSWORD, Server, binary},
    skips,
};

/// How a client's run ended.
#[derive(Debug)]
#[must_use]
pub struct Ran {
    command: String,
    output: Output,
}

impl Ran {
    /// What it printed, if it succeeded.
    ///
    /// # Panics
    /// If it failed; everything it said is shown.
    pub fn ok(self) -> String {
        assert!(self.output.status.success(), "failed: {}\n{}", self.command, self.said());
        String::from_utf8_lossy(&self.output.stdout).trim_end().to_owned()
    }

    /// What it said, if it failed and said `word` (in any case).
    ///
    /// # Panics
    /// If it succeeded, or failed for another reason.
    pub fn refused(self, word: &str) -> String {
        let said = self.said();
        assert!(!self.output.status.success(), "should have failed: {}\n{said}", self.command);
        let found = said.to_lowercase().contains(&word.to_lowercase());
        assert!(found, "failed, but not for {word:?}: {}\n{said}", self.command);
        said
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// Everything it printed on both streams.
    #[must_use]
    pub fn said(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&self.output.stdout) + &text(&self.output.stderr)
    }
}

/// Runs a plain command.
///
/// # Panics
/// If it cannot be started.
pub fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Ran {
    let mut command = Command::new(program);
    command.args(arguments);
    finish(command)
}

fn finish(mut command: Command) -> Ran {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("{shown} does not start: {error}");
    });
    Ran { command: shown, output }
}

/// One person's or pipeline's machine: real clients that talk to one server.
#[derive(Debug)]
pub struct Desk {
    home: TempDir,
    host: String,
    url: String,
    user: Option<(String, String)>,
}

impl Desk {
    /// A desk where nobody is logged in.
    ///
    /// # Panics
    /// If its home cannot be made.
    #[must_use]
    pub fn anonymous(server: &Server) -> Self {
        let home = TempDir::with_prefix("sealock-desk-").expect("a temporary directory");
        for folder in ["run", "docker", "tmp"] {
            std::fs::create_dir(home.path().join(folder)).expect("a folder");
        }
        let host = server.host();
        let plain = serde_json::json!({"hosts": {host.as_str(): {"tls": "disabled"}}}).to_string();
        std::fs::write(home.path().join("regctl.json"), plain).expect("a file");
        Self { home, host, url: server.url(), user: None }
    }

    /// A desk where this user is logged in, for every client at once.
    ///
    /// # Panics
    /// If the login cannot be written.
    #[must_use]
    pub fn of(server: &Server, user: &str, password: &str) -> Self {
        let mut desk = Self::anonymous(server);
        let login = format!("{user}:{password}");
        let login = base64::engine::general_purpose::STANDARD.encode(login);
        let config = serde_json::json!({"auths": {server.host(): {"auth": login}}}).to_string();
        for file in ["auth.json", "docker/config.json"] {
            std::fs::write(desk.home.path().join(file), &config).expect("a login file");
        }
        desk.user = Some((user.to_owned(), password.to_owned()));
        desk
    }

    /// The administrator's desk.
    #[must_use]
    pub fn admin(server: &Server) -> Self {
        Self::of(server, "admin", ADMIN_PASSWORD)
    }

    /// The home directory: where keys and files of a test go.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// `HOST/REPOSITORY`, as it stands on a client's command line.
    #[must_use]
    pub fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.host)
    }

    /// `docker://HOST/REPOSITORY`.
    #[must_use]
    pub fn transport(&self, repository: &str) -> String {
        format!("docker://{}", self.name(repository))
    }

    /// The environment of this desk, for a command of the caller's own.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = self.home.path();
        let path = std::env::var("PATH").unwrap_or_default();
        let tools = skips::cache_dir().join("bin");
        let own = binary();
        let own = own.parent().unwrap_or(Path::new("/"));
        let text = |path: &Path| path.display().to_string();
        let mut environment = vec![
            ("PATH", format!("{}:{}:{path}", own.display(), tools.display())),
            ("HOME", text(home)),
            ("TMPDIR", text(&home.join("tmp"))),
            ("XDG_RUNTIME_DIR", text(&home.join("run"))),
            ("REGISTRY_AUTH_FILE", text(&home.join("auth.json"))),
            ("DOCKER_CONFIG", text(&home.join("docker"))),
            ("HELM_REGISTRY_CONFIG", text(&home.join("docker/config.json"))),
            ("REGCTL_CONFIG", text(&home.join("regctl.json"))),
            ("COSIGN_PASSWORD", String::new()),
            ("COSIGN_YES", "true".to_owned()),
            ("LC_ALL", "C".to_owned()),
            ("SEALOCK_URL", self.url.clone()),
            ("STORAGE_DRIVER", "vfs".to_owned()),
        ];
        if let Some((user, password)) = &self.user {
            environment.push(("SEALOCK_USER", user.clone()));
            environment.push(("SEALOCK_PASSWORD", password.clone()));
        }
        environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Any program with this desk's environment, in its home.
    pub fn run<S: AsRef<OsStr>>(&self, program: &Path, arguments: &[S]) -> Ran {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment()).current_dir(self.home.path()).args(arguments);
        finish(command)
    }

    fn tool<S: AsRef<OsStr>>(&self, name: &str, before: &[&str], arguments: &[S]) -> Ran {
        let path = skips::require_tool(name)
            .unwrap_or_else(|| panic!("{name} may be missing; ask Desk::has first"));
        let mut all: Vec<&OsStr> = before.iter().map(OsStr::new).collect();
        all.extend(arguments.iter().map(AsRef::as_ref));
        self.run(&path, &all)
    }

    /// The product's own command line.
    pub fn sealock(&self, arguments: &[&str]) -> Ran {
        self.run(&binary(), arguments)
    }

    /// The same with JSON output, which must come.
    ///
    /// # Panics
    /// If the command fails or prints no JSON.
    #[must_use]
    pub fn sealock_json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        let text = self.sealock(&all).ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in: {text}"))
    }

    /// skopeo; give `--src-tls-verify=false` and its like.
    pub fn skopeo(&self, arguments: &[&str]) -> Ran {
        self.tool("skopeo", &[], arguments)
    }

    /// Pushes an image with `skopeo copy`; what else it takes stands in `options`.
    pub fn skopeo_push(&self, from: &str, repository: &str, options: &[&str]) -> Ran {
        let to = self.transport(repository);
        let mut arguments = vec!["copy", "--quiet", "--dest-tls-verify=false"];
        arguments.extend(options);
        arguments.extend([from, to.as_str()]);
        self.skopeo(&arguments)
    }

    /// Pulls into an OCI layout with `skopeo copy`.
    pub fn skopeo_pull(&self, repository: &str, layout: &str) -> Ran {
        let (from, to) = (self.transport(repository), format!("oci:{layout}:latest"));
        self.skopeo(&["copy", "--quiet", "--all", "--src-tls-verify=false", &from, &to])
    }

    /// The digest that a tag names, as skopeo sees it.
    #[must_use]
    pub fn digest_of(&self, repository: &str) -> String {
        let from = self.transport(repository);
        self.skopeo(&["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &from]).ok()
    }

    /// podman with storage of its own.
    pub fn podman(&self, arguments: &[&str]) -> Ran {
        self.storage_tool("podman", arguments)
    }

    /// buildah with storage of its own, `--isolation chroot` where it runs anything.
    pub fn buildah(&self, arguments: &[&str]) -> Ran {
        self.storage_tool("buildah", arguments)
    }

    fn storage_tool(&self, name: &str, arguments: &[&str]) -> Ran {
        let folder = |part: &str| self.home.path().join(part).display().to_string();
        let (root, run_root) = (folder("storage"), folder("run/storage"));
        let before = ["--root", &root, "--runroot", &run_root, "--storage-driver", "vfs"];
        self.tool(name, &before, arguments)
    }

    /// crane.
    pub fn crane(&self, arguments: &[&str]) -> Ran {
        self.tool("crane", &["--insecure"], arguments)
    }

    /// oras; give `--plain-http` after the verb.
    pub fn oras(&self, arguments: &[&str]) -> Ran {
        self.tool("oras", &[], arguments)
    }

    /// helm; give `--plain-http` after the verb.
    pub fn helm(&self, arguments: &[&str]) -> Ran {
        self.tool("helm", &[], arguments)
    }

    /// regctl.
    pub fn regctl(&self, arguments: &[&str]) -> Ran {
        self.tool("regctl", &[], arguments)
    }

    /// notation; give `--insecure-registry` after the verb.
    pub fn notation(&self, arguments: &[&str]) -> Ran {
        self.tool("notation", &[], arguments)
    }

    /// A client on notation's library: `key`, `sign`, `verify`, `list`; see
    /// `tests/clients/notation`.
    pub fn notation_library(&self, arguments: &[&str]) -> Ran {
        self.tool("notation-client", &[], arguments)
    }

    /// umoci.
    pub fn umoci(&self, arguments: &[&str]) -> Ran {
        self.tool("umoci", &[], arguments)
    }

    /// cosign 3.
    pub fn cosign(&self, arguments: &[&str]) -> Ran {
        self.tool("cosign", &[], arguments)
    }

    /// cosign 2.
    pub fn cosign2(&self, arguments: &[&str]) -> Ran {
        self.tool("cosign2", &[], arguments)
    }

    /// Makes `NAME.key` and `NAME.pub` in the home with cosign, and returns the path without its
    /// ending.
    #[must_use]
    pub fn key_pair(&self, name: &str) -> PathBuf {
        let prefix = self.home.path().join(name);
        let prefix_text = prefix.display().to_string();
        self.cosign(&["generate-key-pair", "--output-key-prefix", &prefix_text]).ok();
        prefix
    }

    /// A cosign signing configuration without any public service; its path.
    #[must_use]
    pub fn signing_config(&self) -> String {
        let path = self.home.path().join("signing-config.json");
        let text = path.display().to_string();
        if !path.exists() {
            self.cosign(&["signing-config", "create", "--out", &text]).ok();
        }
        text
    }
}
