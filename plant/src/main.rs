//! `penstock-plant`: the simulated plant's pieces, and the demo that puts them together.

mod demo;
mod pieces;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// What a shell reports for a command that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// A simulated plant for Penstock's demo and tests.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    piece: Piece,
}

#[derive(Debug, Subcommand)]
enum Piece {
    /// Tell the story of an outage with the real gateway, and prove that nothing was lost
    Demo {
        /// The penstock binary
        #[arg(long, value_name = "PATH")]
        gateway_bin: PathBuf,
        /// Another seed is another shift
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
    /// Serve a stamping press line over Modbus TCP until interrupted
    PressLine(PressLine),
    /// Serve a heat-treatment oven over OPC UA until interrupted
    Oven(Oven),
    /// Run an MQTT 5 broker in memory until interrupted
    Broker {
        /// Where clients connect
        #[arg(long, default_value = "127.0.0.1:1883")]
        listen: SocketAddr,
    },
    /// Print the events that a broker delivers, one line each, until interrupted
    Watch {
        /// The broker
        #[arg(long, default_value = "127.0.0.1:1883")]
        broker: SocketAddr,
        /// The topics
        #[arg(long, default_value = "#")]
        filter: String,
    },
    /// Serve many devices with slowly changing registers over Modbus TCP until interrupted
    Fleet(Fleet),
}

#[derive(Args, Debug)]
struct PressLine {
    /// Where clients connect; the unit id is 1
    #[arg(long, default_value = "127.0.0.1:5020")]
    listen: SocketAddr,
    /// How many times faster than a real line it lives
    #[arg(long, default_value_t = penstock_plant::press_line::DEMO_TIME_SCALE)]
    time_scale: u32,
    /// Another seed is another shift
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[derive(Args, Debug)]
struct Oven {
    /// Where clients connect
    #[arg(long, default_value = "127.0.0.1:4840")]
    listen: SocketAddr,
    /// Seconds between two parts, and between two temperatures
    #[arg(long, default_value_t = penstock_plant::oven::DEMO_STEP.as_secs_f64())]
    period: f64,
    /// Variables besides, T0, T1 and so on, that all change at every fifth step
    #[arg(long, default_value_t = 0)]
    many: usize,
    /// Another seed is another shift
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Never stop for a fault
    #[arg(long)]
    steady: bool,
    /// Print what happens, a line of JSON each, and obey `hold` and `add` at standard input until that ends
    #[arg(long)]
    record: bool,
    /// Let the variable Late come only when it is added
    #[arg(long, requires = "record")]
    without_late: bool,
    /// Put so many other namespaces before that of the variables
    #[arg(long, default_value_t = 0)]
    shift: u16,
    #[command(flatten)]
    security: OvenSecurity,
}

#[derive(Args, Debug)]
struct OvenSecurity {
    /// Be spoken to only with a security policy, by a user or by nobody in particular
    #[arg(long)]
    secure: bool,
    /// Where the certificate is, or is to be made; without it, one is made at each start
    #[arg(long, value_name = "FOLDER", requires = "secure")]
    certificates: Option<PathBuf>,
    /// Make a certificate that has ended already
    #[arg(long, requires = "secure")]
    expired: bool,
    /// The user and the password
    #[arg(long, value_name = "NAME:PASSWORD", default_value = "edge:hunter2")]
    user: String,
    /// Make a certificate in DER here, and its key beside it in PEM: who holds them is let in, and nobody without a name
    #[arg(long, value_name = "FILE", requires = "secure")]
    user_certificate: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Fleet {
    /// How many devices, each on a port of its own
    #[arg(long, default_value_t = 10)]
    devices: u16,
    /// Holding registers of each device, from 0 on
    #[arg(long, default_value_t = 1_000)]
    tags: u16,
    /// The first device's address; the others have the next ports
    #[arg(long, default_value = "127.0.0.1:5100")]
    listen_base: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().piece {
        // Dropping the demo kills its gateway and clears its directory.
        Piece::Demo { gateway_bin, seed } => tokio::select! {
            told = demo::run(&gateway_bin, seed) => told,
            interrupted = pieces::until_interrupted() => interrupted.map(|_| ExitCode::from(INTERRUPTED)),
        },
        Piece::PressLine(options) => pieces::press_line(&options).await,
        Piece::Oven(options) => pieces::oven::run(&options).await,
        Piece::Broker { listen } => pieces::broker(listen).await,
        Piece::Watch { broker, filter } => pieces::watch(broker, &filter).await,
        Piece::Fleet(options) => pieces::fleet(&options).await,
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("penstock-plant: {error:#}");
            ExitCode::FAILURE
        }
    }
}
