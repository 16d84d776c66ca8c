//! A Modbus TCP device that does what a script says, the wrong things too. It shares no code with the gateway.

use std::io::{Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::loopback::own_address;

/// MBAP header, function code, address, count (Messaging on TCP/IP V1.0b, section 3.1.3).
const REQUEST_BYTES: usize = 12;

/// A device that listens until the process ends.
pub(crate) struct ScriptedDevice {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

/// A request to read.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The transaction identifier.
    pub(crate) transaction: u16,
    /// The unit identifier.
    pub(crate) unit: u8,
    /// The function code.
    pub(crate) function: u8,
    /// How many registers.
    pub(crate) count: u16,
}

/// What a device does about a request.
pub(crate) enum Reply {
    /// It sends these bytes.
    Bytes(Vec<u8>),
    /// It sends these bytes, and closes the connection.
    Last(Vec<u8>),
    /// It says nothing.
    Silence,
    /// It has these bytes ready too late: they go out before the answer to the next request of the same
    /// connection, if there is one.
    Late(Vec<u8>),
}

type Script = Arc<Mutex<dyn FnMut(&Request) -> Reply + Send>>;

impl ScriptedDevice {
    /// A device that follows `script`; connections share it.
    pub(crate) fn start(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind(SocketAddrV4::new(own_address(), 0)).expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let script: Script = Arc::new(Mutex::new(script));
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                accepted.fetch_add(1, Ordering::Relaxed);
                let script = Arc::clone(&script);
                thread::spawn(move || serve(connection, &script));
            }
        });
        Self { address, connections }
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// A device called `name` whose registers 0 to `registers` - 1 are sampled, as TOML.
    pub(crate) fn toml(&self, name: &str, registers: u16) -> String {
        let tags =
            (0..registers).map(|at| format!("{{ name = \"r{at}\", at = \"holding:{at}\", type = \"u16\" }}"));
        format!(
            "\n[[modbus]]\nname = \"{name}\"\naddress = \"tcp://{}\"\npoll = \"50ms\"\nrequest_timeout = \"300ms\"\n\
             tags = [{}]\n\n[[asset]]\npath = \"lab/{name}\"\ntelemetry = [{{ tag = \"{name}.*\" }}]\n",
            self.address,
            tags.collect::<Vec<_>>().join(", "),
        )
    }
}

impl Request {
    /// The right answer: these registers.
    pub(crate) fn answer(&self, registers: &[u16]) -> Vec<u8> {
        let data: Vec<u8> = registers.iter().flat_map(|register| register.to_be_bytes()).collect();
        let byte_count = u8::try_from(data.len()).expect("at most 125 registers");
        self.frame(&[&[self.function, byte_count], data.as_slice()].concat())
    }

    /// A frame that carries `pdu` as the answer to this request.
    pub(crate) fn frame(&self, pdu: &[u8]) -> Vec<u8> {
        let length = u16::try_from(pdu.len() + 1).expect("a PDU is short");
        [&self.transaction.to_be_bytes()[..], &[0, 0], &length.to_be_bytes(), &[self.unit], pdu].concat()
    }

    fn parse(bytes: [u8; REQUEST_BYTES]) -> Self {
        let [transaction_high, transaction_low, _, _, _, _, unit, function, _, _, count_high, count_low] =
            bytes;
        Self {
            transaction: u16::from_be_bytes([transaction_high, transaction_low]),
            unit,
            function,
            count: u16::from_be_bytes([count_high, count_low]),
        }
    }
}

fn serve(mut connection: TcpStream, script: &Script) {
    let mut overdue = Vec::new();
    let mut bytes = [0; REQUEST_BYTES];
    while connection.read_exact(&mut bytes).is_ok() {
        let reply = script.lock().unwrap()(&Request::parse(bytes));
        let (to_send, is_last) = match reply {
            Reply::Bytes(reply) => ([std::mem::take(&mut overdue), reply].concat(), false),
            Reply::Last(reply) => (reply, true),
            Reply::Silence => (Vec::new(), false),
            Reply::Late(reply) => {
                overdue = reply;
                (Vec::new(), false)
            }
        };
        if connection.write_all(&to_send).is_err() || is_last {
            return;
        }
    }
}
