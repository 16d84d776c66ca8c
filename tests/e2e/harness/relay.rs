//! A TCP link that can be cut: what lies between the gateway and a peer.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::loopback::own_address;

/// A relay, open at first. It ends with the process.
pub(crate) struct Relay {
    address: SocketAddr,
    wire: Arc<Mutex<Wire>>,
}

/// Shared by the threads that copy: a cut must reach all of them at once.
struct Wire {
    state: State,
    ends: Vec<TcpStream>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    /// Bytes pass.
    Open,
    /// What the client says passes; what it is answered is lost.
    OneWay,
    /// Connections break at once.
    Cut,
}

impl Relay {
    /// A relay to `peer`, which may be down.
    pub(crate) fn to(peer: SocketAddr) -> Self {
        let listener = TcpListener::bind(SocketAddrV4::new(own_address(), 0)).expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let wire = Arc::new(Mutex::new(Wire { state: State::Open, ends: Vec::new() }));
        let accepted = Arc::clone(&wire);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                connect(client, peer, &accepted);
            }
        });
        Self { address, wire }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loses every answer from here on.
    pub(crate) fn lose_answers(&self) {
        self.wire.lock().unwrap().state = State::OneWay;
    }

    /// Breaks every connection, those to come too.
    pub(crate) fn cut(&self) {
        let mut wire = self.wire.lock().unwrap();
        wire.state = State::Cut;
        for end in wire.ends.drain(..) {
            // An end that is closed already needs no shutdown.
            drop(end.shutdown(Shutdown::Both));
        }
    }

    /// Lets connections through.
    pub(crate) fn open(&self) {
        self.wire.lock().unwrap().state = State::Open;
    }
}

fn connect(client: TcpStream, peer: SocketAddr, wire: &Arc<Mutex<Wire>>) {
    let Ok(server) = TcpStream::connect(peer) else { return };
    let (asked, answered) = (pair(&client, &server), pair(&server, &client));
    {
        let mut wire = wire.lock().unwrap();
        if wire.state == State::Cut {
            return;
        }
        wire.ends.extend([client, server]);
    }
    let (of_questions, of_answers) = (Arc::clone(wire), Arc::clone(wire));
    thread::spawn(move || copy(asked, || of_questions.lock().unwrap().state != State::Cut));
    thread::spawn(move || copy(answered, || of_answers.lock().unwrap().state == State::Open));
}

fn pair(from: &TcpStream, to: &TcpStream) -> (TcpStream, TcpStream) {
    (from.try_clone().expect("an open socket"), to.try_clone().expect("an open socket"))
}

/// Copies while it `passes`, and loses what does not, until either end closes; then closes the other.
fn copy((mut from, mut to): (TcpStream, TcpStream), passes: impl Fn() -> bool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if passes() && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}
