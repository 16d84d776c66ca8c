//! The oven as a command. With `--record` it is a peer for tests: it says what happens, and does what it is told.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use penstock_plant::opcua_server::{Access, Identity, Value, make_user_certificate};
use penstock_plant::oven::{LiveOven, Oven, Record};
use penstock_plant::press_line::Order;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use super::until_interrupted;
use crate::{Oven as Options, OvenSecurity};

/// How long the server's certificate is valid.
const VALID_DAYS: u32 = 365;

/// Serves an oven that works as an oven does.
pub(crate) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let period = Duration::try_from_secs_f64(options.period).ok().filter(|period| !period.is_zero());
    let period = period.context("--period: a number of seconds above 0")?;
    // A certificate that is made for this start goes with it.
    let (access, _folder) = access(options)?;
    let oven = Oven::new(options.seed, period, options.many);
    let place = (options.listen, options.shift);
    let oven = if options.record {
        LiveOven::start(oven, place, access, Printed).await?
    } else {
        LiveOven::start(oven, place, access, Unrecorded).await?
    };
    if !options.without_late {
        oven.add_late();
    }
    oven.give(if options.steady { Order::KeepRunning } else { Order::Work });
    if options.record {
        say(&json!({ "listening": oven.address().port() }));
        obey(&oven).await
    } else {
        println!("oven on opc.tcp://{}/oven", oven.address());
        until_interrupted().await
    }
}

async fn obey(oven: &LiveOven) -> anyhow::Result<ExitCode> {
    let mut commands = BufReader::new(stdin()).lines();
    while let Some(command) = commands.next_line().await? {
        match command.trim() {
            "hold" => {
                oven.give(Order::Hold);
                say(&json!({ "held": true }));
            }
            "add" => oven.add_late(),
            other => anyhow::bail!("{other:?} is none of hold and add"),
        }
        say(&json!({ "done": command.trim() }));
    }
    Ok(ExitCode::SUCCESS)
}

fn access(options: &Options) -> anyhow::Result<(Access, Option<TempDir>)> {
    let OvenSecurity { secure, certificates, expired, user, user_certificate } = &options.security;
    if !secure {
        return Ok((Access::Open, None));
    }
    let (folder, made) = match certificates {
        Some(folder) => (folder.clone(), None),
        None => {
            let made = tempfile::tempdir()?;
            (made.path().to_owned(), Some(made))
        }
    };
    let valid_days = if *expired { 0 } else { VALID_DAYS };
    let identity = Identity::open(&folder, options.listen.ip(), valid_days)?;
    if let Some(file) = user_certificate {
        make_user_certificate(file)?;
    }
    let named = user.split_once(':').context("--user: a name and a password with a colon between")?;
    let named = Some((named.0.to_owned(), named.1.to_owned()));
    Ok((Access::Secured { identity, named, holder: user_certificate.clone() }, made))
}

/// On standard output.
struct Printed;

impl Record for Printed {
    fn note(&mut self, name: &str, value: &Value, at_us: i64) {
        let value = match value {
            Value::Int32(value) => json!(value),
            Value::UInt32(value) => json!(value),
            Value::Double(value) => json!(value),
            Value::Doubles(values) => json!(values),
            Value::Text(text) => json!(text),
            Value::Range(low, high) => json!({ "low": low, "high": high }),
        };
        say(&json!({ "tag": name.to_lowercase(), "value": value, "at": at_us }));
    }
}

struct Unrecorded;

impl Record for Unrecorded {
    fn note(&mut self, _name: &str, _value: &Value, _at_us: i64) {}
}

fn say(fact: &serde_json::Value) {
    println!("{fact}");
}
