//! A TCP link that can be held up or cut: what lies between the gateway and a peer.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::loopback::own_address;

/// A relay, open at first. It ends with the process.
pub(crate) struct Relay {
    address: SocketAddr,
    wire: Arc<Wire>,
}

/// Shared by the threads that copy: a change must reach all of them at once.
struct Wire {
    passage: Mutex<Passage>,
    changed: Condvar,
}

struct Passage {
    state: State,
    ends: Vec<TcpStream>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    /// Bytes pass.
    Open,
    /// Bytes wait; nothing is lost.
    Held,
    /// What the client says passes; what it is answered is lost.
    OneWay,
    /// Connections break at once.
    Cut,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Direction {
    ToPeer,
    FromPeer,
}

impl Relay {
    /// A relay to `peer`, which may be down.
    pub(crate) fn to(peer: SocketAddr) -> Self {
        let listener = TcpListener::bind(SocketAddrV4::new(own_address(), 0)).expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let passage = Mutex::new(Passage { state: State::Open, ends: Vec::new() });
        let wire = Arc::new(Wire { passage, changed: Condvar::new() });
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

    /// Holds every byte back until the link is open again.
    pub(crate) fn hold(&self) {
        self.wire.change(State::Held);
    }

    /// Loses every answer from here on.
    pub(crate) fn lose_answers(&self) {
        self.wire.change(State::OneWay);
    }

    /// Breaks every connection, those to come too.
    pub(crate) fn cut(&self) {
        self.wire.change(State::Cut);
    }

    /// Lets connections and bytes through.
    pub(crate) fn open(&self) {
        self.wire.change(State::Open);
    }
}

impl Wire {
    fn change(&self, state: State) {
        let mut passage = self.passage.lock().unwrap();
        passage.state = state;
        if state == State::Cut {
            for end in passage.ends.drain(..) {
                // An end that is closed already needs no shutdown.
                drop(end.shutdown(Shutdown::Both));
            }
        }
        self.changed.notify_all();
    }

    /// Whether bytes in this `direction` pass or are lost, once that is decided.
    fn lets_pass(&self, direction: Direction) -> bool {
        let passage = self.passage.lock().unwrap();
        let passage = self.changed.wait_while(passage, |passage| passage.state == State::Held).unwrap();
        match passage.state {
            State::Open => true,
            State::OneWay => direction == Direction::ToPeer,
            State::Held | State::Cut => false,
        }
    }
}

fn connect(client: TcpStream, peer: SocketAddr, wire: &Arc<Wire>) {
    let Ok(server) = TcpStream::connect(peer) else { return };
    let (asked, answered) = (pair(&client, &server), pair(&server, &client));
    {
        let mut passage = wire.passage.lock().unwrap();
        if passage.state == State::Cut {
            return;
        }
        passage.ends.extend([client, server]);
    }
    for (ends, direction) in [(asked, Direction::ToPeer), (answered, Direction::FromPeer)] {
        let wire = Arc::clone(wire);
        thread::spawn(move || copy(ends, || wire.lets_pass(direction)));
    }
}

fn pair(from: &TcpStream, to: &TcpStream) -> (TcpStream, TcpStream) {
    (from.try_clone().expect("an open socket"), to.try_clone().expect("an open socket"))
}

/// Copies what is let pass, and loses the rest, until either end closes; then closes the other.
fn copy((mut from, mut to): (TcpStream, TcpStream), lets_pass: impl Fn() -> bool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if lets_pass() && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}
