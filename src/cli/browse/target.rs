//! Which server is looked through, and as whom.

use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use penstock_adapters::opcua::pki::{Application, Passport};
use penstock_adapters::opcua::{EndpointUrl, Identity, NoSession, Password, Security, Server};
use penstock_events::{MAX_NAME_BYTES, SourceName};

use crate::cli::{DEFAULT_CONFIG, load, session};
use crate::config::{self, Purpose};
use crate::exit::Exit;
use crate::terminal::ask_secretly;

const SCHEME: &str = "opc.tcp://";

/// The arguments that say which.
#[derive(Args, Debug)]
pub(super) struct Target {
    /// The server: opc.tcp://HOST[:4840], or an OPC UA source of the configuration
    #[arg(value_name = "ENDPOINT|SOURCE")]
    server: String,
    /// The configuration: for its sources, and for the certificates where an ENDPOINT is secured
    #[arg(long, short, default_value = DEFAULT_CONFIG, value_name = "FILE")]
    config: PathBuf,
    /// The security of the connection to ENDPOINT, as in the configuration; None unless given
    #[arg(long, value_name = "SECURITY")]
    security: Option<Security>,
    /// The user at ENDPOINT. The password comes from a file or the environment, or it is asked for
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// The file that holds the password
    #[arg(long, value_name = "FILE", requires = "username", conflicts_with = "password_env")]
    password_file: Option<PathBuf>,
    /// The variable of the environment that holds the password
    #[arg(long, value_name = "VARIABLE", requires = "username")]
    password_env: Option<String>,
}

impl Target {
    /// The server, and what is shown to it.
    pub(super) fn settings(&self) -> Result<(Server, Passport), Exit> {
        if self.server.contains("://") {
            return self.ad_hoc();
        }
        if self.security.is_some() || self.username.is_some() {
            return Err(Exit::usage(format_args!(
                "{:?} is a source, whose security and user stand in the configuration: name its endpoint to choose others",
                self.server
            )));
        }
        let config = load(&self.config, Purpose::Check)?;
        let Some(server) = config.opcua.iter().find(|server| server.name.as_str() == self.server) else {
            let known: Vec<&str> = config.opcua.iter().map(|server| server.name.as_str()).collect();
            return Err(Exit::not_found(format_args!(
                "no OPC UA server is configured as {:?}; there are {}; or name an endpoint, {SCHEME}HOST",
                self.server,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        };
        let passport = session::passport(&config, std::slice::from_ref(server))?;
        Ok((server.clone(), passport))
    }

    /// Where the password is, as a configuration says it; none when it was asked for.
    pub(super) fn password_place(&self) -> Option<String> {
        let place = |key: &str, place: &str| format!("{{ {key} = {} }}", super::tags::quoted(place));
        let file = self.password_file.as_ref().map(|path| place("file", &path.display().to_string()));
        file.or_else(|| self.password_env.as_ref().map(|variable| place("env", variable)))
    }

    fn ad_hoc(&self) -> Result<(Server, Passport), Exit> {
        let endpoint: EndpointUrl = self.server.parse().map_err(Exit::usage)?;
        let security = self.security.unwrap_or_default();
        // Before a password is asked for.
        let user = self
            .username
            .as_ref()
            .map(|name| Identity::UserName { name: name.clone(), password: Password::default() });
        Server::check_identity(security, &user.unwrap_or_default()).map_err(|error| {
            Exit::usage(format_args!("{error}: add --security, such as Basic256Sha256/SignAndEncrypt"))
        })?;
        let identity = match &self.username {
            Some(name) => {
                Identity::UserName { name: name.clone(), password: Password::new(self.password()?) }
            }
            None => Identity::Anonymous,
        };
        let server = config::ad_hoc_server(name_of(&endpoint), endpoint, security, identity);
        let passport = match security {
            // Nothing is shown, and no configuration is needed.
            Security::None => {
                let (name, uri) = ("penstock".to_owned(), "urn:penstock".to_owned());
                Passport::new(PathBuf::new(), Application { name, uri })
            }
            Security::Secured { .. } => {
                let config = load(&self.config, Purpose::Check)?;
                session::passport(&config, std::slice::from_ref(&server))?
            }
        };
        Ok((server, passport))
    }

    fn password(&self) -> Result<String, Exit> {
        let password = if let Some(path) = &self.password_file {
            let text = fs::read_to_string(path)
                .map_err(|error| Exit::not_found(format_args!("{}: {error}", path.display())))?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        } else if let Some(variable) = &self.password_env {
            env::var(variable).map_err(|error| Exit::not_found(format_args!("{variable}: {error}")))?
        } else if io::stdin().is_terminal() {
            ask_secretly("Password: ").map_err(|error| Exit::cannot_write("the terminal", &error))?
        } else {
            return Err(Exit::usage(
                "there is no terminal to ask for the password on: add --password-file or --password-env",
            ));
        };
        if password.is_empty() { Err(Exit::usage("the password is empty")) } else { Ok(password) }
    }
}

/// There is no session at `server`.
pub(super) fn unreachable(server: &Server, error: &NoSession) -> Exit {
    Exit::unreachable(format_args!("{}: {error}", server.endpoint))
}

/// A name for the server at an endpoint, made of its host.
fn name_of(endpoint: &EndpointUrl) -> SourceName {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let host: String = endpoint.host().chars().map(safe).take(MAX_NAME_BYTES).collect();
    host.parse().or_else(|_| "server".parse()).expect("this is a name")
}
