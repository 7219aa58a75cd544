use super::Context;
use crate::{failure::Failure, files, output};
use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use std::path::PathBuf;

/// Projects, their members, robots and keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Create a project.
    Create {
        /// Its name.
        name: String,
        /// Anybody may pull from it.
        #[arg(long)]
        public: bool,
        /// Its tier: external, sandbox, integration, release, mirror.
        #[arg(long, default_value = "sandbox")]
        tier: String,
    },
    /// List projects.
    List,
    /// Show a project.
    Show {
        /// The project.
        name: String,
    },
    /// Change who may pull from a project, or its tier (system administrators).
    Update {
        /// The project.
        name: String,
        /// Anybody may pull from it.
        #[arg(long)]
        public: Option<bool>,
        /// Its tier: external, sandbox, integration, release, mirror.
        #[arg(long)]
        tier: Option<String>,
    },
    /// Give a project another name, and its repositories with it (system administrators)
    Rename {
        /// The name now.
        name: String,
        /// The name from now on.
        to: String,
    },
    /// Give a repository another name within its project
    RenameRepository {
        /// The name now, such as shop/app.
        name: String,
        /// The name from now on, such as shop/web.
        to: String,
    },
    /// List the repositories of a project.
    Repositories {
        /// The project.
        project: String,
    },
    /// Public keys whose signatures count in a project.
    #[command(subcommand)]
    Key(Key),
    /// Members and their roles.
    #[command(subcommand)]
    Member(Member),
    /// Robot accounts for pipelines.
    #[command(subcommand)]
    Robot(Robot),
    /// Who may read what the pull door refuses, such as a scanner (security role).
    #[command(subcommand)]
    Examiner(Examiner),
}

/// Examiners of a project.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Examiner {
    /// Let a user or a robot of the project read what the pull door refuses.
    Add {
        /// The project.
        project: String,
        /// The user, or the robot's full name.
        name: String,
    },
    /// List examiners.
    List {
        /// The project.
        project: String,
    },
    /// Take it back.
    Remove {
        /// The project.
        project: String,
        /// The user, or the robot's full name.
        name: String,
    },
}

/// Keys of a project.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Key {
    /// Add a public key (PEM), such as cosign.pub.
    Add {
        /// The project.
        project: String,
        /// A name for it.
        name: String,
        /// The PEM file.
        file: PathBuf,
    },
    /// List keys.
    List {
        /// The project.
        project: String,
    },
    /// Record that a key was compromised: signatures first seen since then do not count.
    Compromise {
        /// The project.
        project: String,
        /// The key's name.
        name: String,
        /// Since when (RFC 3339); now if absent.
        #[arg(long)]
        at: Option<jiff::Timestamp>,
    },
    /// Remove a key.
    Remove {
        /// The project.
        project: String,
        /// The key's name.
        name: String,
    },
}

/// Members of a project.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Member {
    /// Give a user a role.
    Add {
        /// The project.
        project: String,
        /// The user.
        // An id of its own: `user` is the global option that says who logs in.
        #[arg(id = "member", value_name = "USER")]
        user: String,
        /// projectAdmin, maintainer, developer, guest or limitedGuest.
        role: String,
        /// Only these repositories, as a pattern: PROJECT/app-*; ** for all of them again.
        #[arg(long)]
        repositories: Option<String>,
    },
    /// List members.
    List {
        /// The project.
        project: String,
    },
    /// Remove a member.
    Remove {
        /// The project.
        project: String,
        /// The user.
        // An id of its own: `user` is the global option that says who logs in.
        #[arg(id = "member", value_name = "USER")]
        user: String,
    },
}

/// Robots of a project.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Robot {
    /// Create a robot; its secret is printed once.
    Create {
        /// The project.
        project: String,
        /// Its name; it logs in as robot$PROJECT+NAME.
        name: String,
        /// What it may do: pull, push, attest, promote, with commas between them.
        #[arg(long, value_delimiter = ',', default_value = "pull")]
        rights: Vec<String>,
        /// Only these repositories, as a pattern: PROJECT/app-*.
        #[arg(long)]
        repositories: Option<String>,
        /// Days until it expires.
        #[arg(long)]
        expires_in_days: Option<u32>,
    },
    /// List robots.
    List {
        /// The project.
        project: String,
    },
    /// Give a robot a new secret, which is printed once; the former one stops at once.
    Renew {
        /// The project.
        project: String,
        /// Its name.
        name: String,
    },
    /// Remove a robot; its secret stops at once.
    Remove {
        /// The project.
        project: String,
        /// Its name.
        name: String,
    },
}

const PROJECT: &[output::Column] = &[
    ("name", "/name"),
    ("tier", "/tier"),
    ("public", "/public"),
    ("created", "/created_at"),
    ("id", "/id"),
];
const KEY: &[output::Column] = &[
    ("name", "/name"),
    ("algorithm", "/algorithm"),
    ("id", "/id"),
    ("added", "/added_at"),
    ("compromised", "/compromised_at"),
];
const MEMBER: &[output::Column] =
    &[("user", "/user"), ("role", "/role"), ("repositories", "/repositories")];
const ROBOT: &[output::Column] = &[
    ("name", "/name"),
    ("secret", "/secret"),
    ("rights", "/rights"),
    ("repositories", "/repositories"),
    ("expires", "/expires_at"),
];

const EXAMINER: &[output::Column] =
    &[("name", "/name"), ("granted by", "/granted_by"), ("granted", "/granted_at")];

pub(crate) async fn run(context: &Context, command: Command) -> Result<()> {
    let (client, format) = (&context.client, context.format);
    match command {
        Command::Create { name, public, tier } => {
            let body = json!({"name": name, "public": public, "tier": tier});
            let project = client.write(Method::POST, "projects", &body).await?;
            output::object(format, &project, PROJECT)
        }
        Command::List => output::list(format, &client.list("projects", &[]).await?, PROJECT),
        Command::Show { name } => {
            output::object(format, &client.get(&format!("projects/{name}"), &[]).await?, PROJECT)
        }
        Command::Update { name, public, tier } => {
            if public.is_none() && tier.is_none() {
                return Err(Failure::usage("say what changes: --public, --tier"));
            }
            let body = json!({"public": public, "tier": tier});
            let project = client.write(Method::PATCH, &format!("projects/{name}"), &body).await?;
            output::object(format, &project, PROJECT)
        }
        Command::Rename { name, to } => {
            let path = format!("projects/{name}/name");
            let project = client.write(Method::PUT, &path, &json!({"name": to})).await?;
            output::object(format, &project, PROJECT)
        }
        Command::RenameRepository { name, to } => {
            let body = json!({"from": name, "to": to});
            client.write(Method::POST, "repositories/rename", &body).await?;
            output::line(format, &format!("{name} is {to} from now on."))
        }
        Command::Repositories { project } => {
            let items = client.list(&format!("projects/{project}/repositories"), &[]).await?;
            let columns = [("repository", "/name"), ("artifacts", "/artifacts"), ("tags", "/tags")];
            output::list(format, &items, &columns)
        }
        Command::Key(command) => key(context, command).await,
        Command::Member(command) => member(context, command).await,
        Command::Robot(command) => robot(context, command).await,
        Command::Examiner(command) => examiner(context, command).await,
    }
}

async fn examiner(context: &Context, command: Examiner) -> Result<()> {
    let (client, format) = (&context.client, context.format);
    let path = |project: &str, name: &str| format!("projects/{project}/examiners/{name}");
    match command {
        Examiner::Add { project, name } => {
            client.write(Method::PUT, &path(&project, &name), &json!({})).await?;
            output::line(format, &format!("{name} may read what is refused in {project}."))
        }
        Examiner::List { project } => {
            let items = client.list(&path(&project, ""), &[]).await?;
            output::list(format, &items, EXAMINER)
        }
        Examiner::Remove { project, name } => {
            client.delete(&path(&project, &name)).await?;
            output::line(format, &format!("{name} may no longer read what {project} refuses."))
        }
    }
}

async fn key(context: &Context, command: Key) -> Result<()> {
    let (client, format) = (&context.client, context.format);
    match command {
        Key::Add { project, name, file } => {
            let body = json!({"name": name, "pem": files::read_text(&file)?});
            let key =
                client.write(Method::POST, &format!("projects/{project}/keys"), &body).await?;
            output::object(format, &key, KEY)
        }
        Key::List { project } => {
            let items = client.list(&format!("projects/{project}/keys"), &[]).await?;
            output::list(format, &items, KEY)
        }
        Key::Compromise { project, name, at } => {
            let path = format!("projects/{project}/keys/{name}/compromise");
            let key = client.write(Method::POST, &path, &json!({"at": at})).await?;
            output::object(format, &key, KEY)
        }
        Key::Remove { project, name } => {
            client.delete(&format!("projects/{project}/keys/{name}")).await?;
            output::line(format, &format!("Removed key {name} from {project}."))
        }
    }
}

async fn member(context: &Context, command: Member) -> Result<()> {
    let (client, format) = (&context.client, context.format);
    match command {
        Member::Add { project, user, role, repositories } => {
            let mut body = json!({"user": user, "role": role});
            if let Some(pattern) = repositories {
                body["repositories"] = pattern.into();
            }
            let path = format!("projects/{project}/members");
            output::object(format, &client.write(Method::POST, &path, &body).await?, MEMBER)
        }
        Member::List { project } => {
            let items = client.list(&format!("projects/{project}/members"), &[]).await?;
            output::list(format, &items, MEMBER)
        }
        Member::Remove { project, user } => {
            client.delete(&format!("projects/{project}/members/{user}")).await?;
            output::line(format, &format!("Removed {user} from {project}."))
        }
    }
}

async fn robot(context: &Context, command: Robot) -> Result<()> {
    let (client, format) = (&context.client, context.format);
    match command {
        Robot::Create { project, name, rights, repositories, expires_in_days } => {
            let mut body =
                json!({"name": name, "rights": rights, "expires_in_days": expires_in_days});
            if let Some(pattern) = repositories {
                body["repositories"] = pattern.into();
            }
            let path = format!("projects/{project}/robots");
            output::object(format, &client.write(Method::POST, &path, &body).await?, ROBOT)
        }
        Robot::List { project } => {
            let items = client.list(&format!("projects/{project}/robots"), &[]).await?;
            output::list(format, &items, ROBOT)
        }
        Robot::Renew { project, name } => {
            let path = format!("projects/{project}/robots/{name}/secret");
            output::object(format, &client.write(Method::POST, &path, &json!({})).await?, ROBOT)
        }
        Robot::Remove { project, name } => {
            client.delete(&format!("projects/{project}/robots/{name}")).await?;
            output::line(format, &format!("Removed robot {name} from {project}."))
        }
    }
}
