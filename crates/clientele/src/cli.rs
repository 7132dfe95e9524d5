//! The command line: what can be asked for, and what each setting means.
//!
//! Every setting of the services can come from the environment too, as `CLIENTELE_` and its name
//! in capitals, and from a file: see `settings`, which takes up what is added here by itself. A setting
//! with `hide_env_values` is a secret.

mod config;
mod events;
mod load;
mod security;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use config::{Config, ConfigFile};
pub use events::{Bus, Events, EventsFormat};
pub use load::Load;
pub use security::{Bearer, Encryption, Identity, Peers, Trust};

/// Keeps track of where each person stands: contact, lead, prospect, client.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run all three services in this process, migrated by themselves.
    Up(Up),
    /// Run one service.
    Serve(Serve),
    /// Bring a service's database to the schema of this version.
    Migrate(Migrate),
    /// Work with the epoch of a service's database.
    #[command(subcommand)]
    Epoch(Epoch),
    /// See who holds grants of pipeline, and forget a holder that is gone for good.
    #[command(subcommand)]
    Holders(Holders),
    /// See which events could not be published, and what to do about them.
    #[command(subcommand)]
    Events(Events),
    /// See what the settings are, and what they can be.
    #[command(subcommand)]
    Config(Config),
    /// Make a token for development, signed with a key of this machine.
    Token(Token),
    /// Work with policies as files.
    #[command(subcommand)]
    Policy(Policy),
    /// Import contacts from a CSV, vCard or NDJSON file.
    Import(Import),
    /// Tell the suite's story against a running suite, step by step.
    Demo(Demo),
}

/// A service of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// The directory of people, companies and groups.
    Contacts,
    /// The progression rules: policies, positions, entitlements.
    Pipeline,
    /// Invoices and projects, for clients only.
    Billing,
}

impl Service {
    /// The service's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Pipeline => "pipeline",
            Self::Billing => "billing",
        }
    }
}

/// The settings of `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// The file that settings can stand in.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The address to listen on; beyond loopback only with TLS and --jwks. Port 0 takes a free one.
    #[arg(
        long,
        env = "CLIENTELE_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "IP:PORT"
    )]
    pub listen: SocketAddr,
    /// The folder of the SQLite files; created where it is missing.
    #[arg(long, env = "CLIENTELE_DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// Another database for contacts: `postgres://...` or `sqlite:PATH`.
    #[arg(long, env = "CLIENTELE_CONTACTS_DATABASE_URL", hide_env_values = true)]
    pub contacts_database_url: Option<String>,
    /// Another database for pipeline.
    #[arg(long, env = "CLIENTELE_PIPELINE_DATABASE_URL", hide_env_values = true)]
    pub pipeline_database_url: Option<String>,
    /// Another database for billing.
    #[arg(long, env = "CLIENTELE_BILLING_DATABASE_URL", hide_env_values = true)]
    pub billing_database_url: Option<String>,
    /// What every server has.
    #[command(flatten)]
    pub server: Server,
    /// Whom the server serves.
    #[command(flatten)]
    pub identity: Identity,
    /// How the server is reached.
    #[command(flatten)]
    pub encryption: Encryption,
    /// Where events go.
    #[command(flatten)]
    pub bus: Bus,
}

/// The settings of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The file that settings can stand in.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The service to run.
    pub service: Service,
    /// The address to listen on; beyond loopback only with TLS and --jwks. Port 0 takes a free one.
    #[arg(
        long,
        env = "CLIENTELE_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "IP:PORT"
    )]
    pub listen: SocketAddr,
    /// The service's database: `postgres://...` or `sqlite:PATH`.
    #[arg(long, env = "CLIENTELE_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Bring the database to this version's schema first; otherwise an older one is refused.
    #[arg(long, env = "CLIENTELE_MIGRATE")]
    pub migrate: bool,
    /// Where contacts is; pipeline needs it.
    #[arg(
        long,
        env = "CLIENTELE_CONTACTS_URI",
        required_if_eq("service", "pipeline")
    )]
    pub contacts_uri: Option<String>,
    /// Where pipeline is; billing needs it.
    #[arg(
        long,
        env = "CLIENTELE_PIPELINE_URI",
        required_if_eq("service", "billing")
    )]
    pub pipeline_uri: Option<String>,
    /// The file with the token by which the other services know this one; read again as it changes.
    /// Where callers are asked for tokens, pipeline and billing need it or a certificate.
    #[arg(long, env = "CLIENTELE_SERVICE_TOKEN_FILE")]
    pub service_token_file: Option<PathBuf>,
    /// What every server has.
    #[command(flatten)]
    pub server: Server,
    /// Whom the server serves.
    #[command(flatten)]
    pub identity: Identity,
    /// How the server is reached.
    #[command(flatten)]
    pub encryption: Encryption,
    /// Where events go.
    #[command(flatten)]
    pub bus: Bus,
    /// How the other services are reached.
    #[command(flatten)]
    pub peers: Peers,
}

/// The settings that every server has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct Server {
    /// An address that answers health checks (grpc.health.v1) in the clear, and nothing else: probes of
    /// Kubernetes speak no TLS.
    #[arg(long, env = "CLIENTELE_HEALTH_LISTEN", value_name = "IP:PORT")]
    pub health_listen: Option<SocketAddr>,
    /// PostgreSQL connections of each service at most; more than about 16 on two cores are slower. At
    /// most four for each core of the service's machine read at once.
    #[arg(long, env = "CLIENTELE_POOL_MAX", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub pool_max: u32,
    /// How long to go on as before at the end, not ready any more, until load balancers have heard of
    /// it, in milliseconds.
    #[arg(long, env = "CLIENTELE_LAME_DUCK_MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=300_000))]
    pub lame_duck_ms: u64,
    /// How long calls in flight then get to finish, in milliseconds.
    #[arg(long, env = "CLIENTELE_GRACE_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=300_000))]
    pub grace_ms: u64,
    /// What is logged, such as `info` or `warn,store=debug`.
    #[arg(long, env = "CLIENTELE_LOG", default_value = "info")]
    pub log: String,
    /// How it is logged.
    #[arg(long, env = "CLIENTELE_LOG_FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    /// Where an OpenTelemetry collector takes OTLP over gRPC, such as `http://127.0.0.1:4317`. Without
    /// it, and without OTEL_EXPORTER_OTLP_ENDPOINT, no telemetry leaves the process. What else can be set
    /// about it are OpenTelemetry's own variables (docs/telemetry.md).
    #[arg(long, env = "CLIENTELE_OTLP_ENDPOINT", value_name = "URI")]
    pub otlp_endpoint: Option<String>,
    /// How much the server takes on at once.
    #[command(flatten, next_help_heading = "Load")]
    pub load: Load,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people at a terminal, as JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// The settings of `migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// The database, as its owner.
    #[command(flatten)]
    pub database: Database,
    /// Let this role of PostgreSQL read and write rows, and nothing else: the one that the service
    /// connects as. Give it at each migration, so that it may use new tables.
    #[arg(long, value_name = "ROLE", env = "CLIENTELE_GRANT_TO")]
    pub grant_to: Option<String>,
}

/// A service's database.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_field_names,
    reason = "the field's name is the setting's"
)]
pub struct Database {
    /// The file that settings can stand in.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The service whose database it is.
    pub service: Service,
    /// The database: `postgres://...` or `sqlite:PATH`.
    #[arg(long, env = "CLIENTELE_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}

/// What can be done with an epoch.
#[derive(Debug, Subcommand)]
pub enum Epoch {
    /// Begin a new epoch. Do this once after a database was restored from a backup: grants and
    /// tokens of the time that was lost are void then.
    Bump(Database),
}

/// What can be done with the holders of grants: databases of billing that may act on what a contact
/// is entitled to, until pipeline recalls it.
#[derive(Debug, Subcommand)]
pub enum Holders {
    /// List them: in which epochs each has attached, what it holds, and what waits for it.
    List {
        /// The file that settings can stand in.
        #[command(flatten)]
        config: ConfigFile,
        /// Pipeline's database: `postgres://...` or `sqlite:PATH`.
        #[arg(long, env = "CLIENTELE_DATABASE_URL", hide_env_values = true)]
        database_url: String,
    },
    /// Forget one whose database is gone for good, so that nothing waits for it any more.
    Forget {
        /// The file that settings can stand in.
        #[command(flatten)]
        config: ConfigFile,
        /// The holder's id, as `holders list` shows it.
        holder: String,
        /// Pipeline's database: `postgres://...` or `sqlite:PATH`.
        #[arg(long, env = "CLIENTELE_DATABASE_URL", hide_env_values = true)]
        database_url: String,
        /// Yes, it is gone: whatever it may still accept in the name of a grant is on you.
        #[arg(long)]
        yes: bool,
    },
}

/// The settings of `token`.
#[derive(Debug, Args)]
pub struct Token {
    /// The workspace that the token lets its holder into; `*` is every one.
    #[arg(long, default_value = "default", conflicts_with = "service")]
    pub workspace: String,
    /// A role there: viewer, sales, sales-manager, billing, admin, or one of the server's own; may be
    /// repeated.
    #[arg(long = "role", default_value = "admin", conflicts_with = "service")]
    pub roles: Vec<String>,
    /// The service of the suite that the token is for, instead of a person.
    #[arg(long)]
    pub service: Option<Service>,
    /// Who the holder is: the token's `sub`.
    #[arg(long, default_value = "dev")]
    pub subject: String,
    /// For how long the token is valid, in seconds.
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub lifetime_seconds: u64,
    /// The folder of the signing key and its key set, `jwks.json`; both are made where they are
    /// missing.
    #[arg(long, env = "CLIENTELE_KEY_DIR", default_value = "./data/keys")]
    pub key_dir: PathBuf,
    /// The token's `iss`.
    #[arg(long, env = "CLIENTELE_ISSUER", default_value = "clientele-dev")]
    pub issuer: String,
    /// The token's `aud`.
    #[arg(long, env = "CLIENTELE_AUDIENCE", default_value = "clientele")]
    pub audience: String,
}

/// What can be done with policies as files.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Check a policy in YAML or JSON and list every fault.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print a preset as YAML: `one-way`, `free-switch`, `relationship`, `verified-interest` or
    /// `call-driven`.
    Show {
        /// The preset.
        preset: String,
    },
}

/// Where a client command finds the suite.
#[derive(Debug, Args)]
#[command(next_help_heading = "Suite")]
pub struct Target {
    /// Where the suite is.
    #[arg(
        long,
        env = "CLIENTELE_ADDRESS",
        default_value = "http://127.0.0.1:50051"
    )]
    pub address: String,
    /// The workspace.
    #[arg(long, env = "CLIENTELE_WORKSPACE", default_value = "default")]
    pub workspace: String,
    /// Who calls.
    #[command(flatten)]
    pub bearer: Bearer,
    /// Whom the caller trusts.
    #[command(flatten)]
    pub trust: Trust,
}

/// The settings of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The file.
    pub file: PathBuf,
    /// Where the suite is, and the workspace.
    #[command(flatten)]
    pub target: Target,
    /// The kind of file; by its name (.csv, .vcf, .ndjson) where not said.
    #[arg(long)]
    pub format: Option<FileFormat>,
    /// Check and report every row, change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Where a CSV column goes, as `COLUMN=FIELD`, such as `"E-mail=emails"`; may be repeated.
    #[arg(long = "map", value_name = "COLUMN=FIELD")]
    pub mapping: Vec<String>,
    /// The CSV file has no header row; `--map` is by column number from 1.
    #[arg(long)]
    pub no_header: bool,
    /// The stage to open the positions in.
    #[arg(long, default_value = "")]
    pub stage: String,
    /// The region of phone numbers without a country code, such as `DE`.
    #[arg(long, default_value = "")]
    pub region: String,
}

/// A kind of file that contacts come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// Comma-separated values, also with semicolons or tabs.
    Csv,
    /// vCard 2.1, 3.0 or 4.0.
    Vcard,
    /// A contact as JSON on each line.
    Ndjson,
}

/// The settings of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where the suite is.
    #[arg(
        long,
        env = "CLIENTELE_ADDRESS",
        default_value = "http://127.0.0.1:50051"
    )]
    pub address: String,
    /// The workspace that the story plays in; a new one where not said.
    #[arg(long)]
    pub workspace: Option<String>,
    /// Who calls.
    #[command(flatten)]
    pub bearer: Bearer,
    /// Whom the caller trusts.
    #[command(flatten)]
    pub trust: Trust,
}
