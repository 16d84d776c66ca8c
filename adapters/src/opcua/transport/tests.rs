//! A server that answers as a test says, and a client that asks it what it offers.

use std::io;
use std::time::Duration;

use opcua::client::ClientBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);
const POLICY: &[u8] = b"http://opcfoundation.org/UA/SecurityPolicy#None";
/// More levels than are decoded, and few enough for any stack.
const TOO_MANY: usize = 150;

/// The diagnostics in the head of a response.
fn nested(levels: usize) -> Vec<u8> {
    [&vec![0x40; levels][..], &[0]].concat()
}

/// OpenSecureChannelResponse (OPC 10000-4, 5.6.2), in binary.
fn channel_opened(diagnostics: &[u8]) -> Vec<u8> {
    let nothing = (-1_i32).to_le_bytes();
    let number = |number: u32| number.to_le_bytes();
    let head =
        [&[1, 0][..], &449_u16.to_le_bytes(), &0_u64.to_le_bytes(), &number(1), &number(0), diagnostics];
    let rest = [&nothing[..], &[0, 0, 0], &number(0), &number(1), &number(1), &0_u64.to_le_bytes()];
    [head.concat(), rest.concat(), number(3_600_000).to_vec(), nothing.to_vec()].concat()
}

/// A chunk (OPC 10000-6, 6.7.2) of an OpenSecureChannel message: `C`, which goes on, or `F`, the last.
fn chunk(kind: u8, sequence_number: u32, request: u32, body: &[u8]) -> Vec<u8> {
    let length = |length: usize| u32::try_from(length).expect("a short message").to_le_bytes();
    let nothing = (-1_i32).to_le_bytes();
    let rest = [
        &1_u32.to_le_bytes()[..],
        &length(POLICY.len()),
        POLICY,
        &nothing,
        &nothing,
        &sequence_number.to_le_bytes(),
        &request.to_le_bytes(),
        body,
    ]
    .concat();
    [&b"OPN"[..], &[kind], &length(rest.len() + 8), &rest].concat()
}

async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 8];
    stream.read_exact(&mut message).await?;
    let [.., a, b, c, d] = message[..] else { unreachable!("eight bytes") };
    message.resize(u32::from_le_bytes([a, b, c, d]) as usize, 0);
    stream.read_exact(&mut message[8..]).await?;
    Ok(message)
}

/// Whether a client goes on when the server answers its request for a channel so: given the request's number.
async fn goes_on(answer: impl FnOnce(u32) -> Vec<u8>) -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("opc.tcp://{}", listener.local_addr().expect("an address"));
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("a client");
        receive(&mut stream).await.expect("HEL");
        let limits = [0_u32, 65_535, 65_535, 0, 0].map(u32::to_le_bytes).concat();
        stream.write_all(&[&b"ACKF"[..], &28_u32.to_le_bytes(), &limits].concat()).await.expect("it listens");
        let request = receive(&mut stream).await.expect("OPN");
        let numbers = request.windows(POLICY.len()).position(|part| part == POLICY).expect("a policy");
        let request = request[numbers + POLICY.len() + 12..].first_chunk().expect("the request's number");
        stream.write_all(&answer(u32::from_le_bytes(*request))).await.expect("it listens");
        receive(&mut stream).await.is_ok()
    };
    let client =
        ClientBuilder::new().application_name("test").application_uri("urn:test").pki_dir("/dev/null");
    let client = client.session_retry_limit(0).client().expect("a client");
    let transport = Transport::to(&endpoint.parse().expect("a URL"));
    let asking = async {
        // Nobody answers it.
        drop(client.get_server_endpoints_from_url(transport).await);
        std::future::pending::<()>().await;
    };
    timeout(DEADLINE, async {
        tokio::select! {
            went_on = serve => went_on,
            () = asking => unreachable!("it never ends"),
        }
    })
    .await
    .expect("it goes on or hangs up")
}

#[tokio::test]
async fn a_message_that_nests_as_messages_do_is_taken() {
    assert!(goes_on(|request| chunk(b'F', 1, request, &channel_opened(&nested(0)))).await);
    assert!(goes_on(|request| chunk(b'F', 1, request, &channel_opened(&nested(90)))).await);
}

#[tokio::test]
async fn a_message_that_nests_too_deep_ends_the_connection() {
    assert!(!goes_on(|request| chunk(b'F', 1, request, &channel_opened(&nested(TOO_MANY)))).await);
}

#[tokio::test]
async fn so_does_one_whose_depth_is_in_several_chunks_with_others_between() {
    let parts = |request: u32| {
        let body = channel_opened(&nested(TOO_MANY));
        let (first, second) = body.split_at(body.len() / 2);
        let other = chunk(b'C', 2, request + 1, &[0; 100]);
        [chunk(b'C', 1, request, first), other, chunk(b'F', 3, request, second)].concat()
    };
    assert!(!goes_on(parts).await);
    let whole = |request: u32| {
        let body = channel_opened(&nested(90));
        let (first, second) = body.split_at(body.len() / 2);
        [chunk(b'C', 1, request, first), chunk(b'F', 2, request, second)].concat()
    };
    assert!(goes_on(whole).await);
}

#[tokio::test]
async fn a_chunk_of_no_length_or_of_gigabytes_ends_the_connection() {
    for length in [0_u32, 8, u32::MAX] {
        assert!(!goes_on(|_| [&b"OPNF"[..], &length.to_le_bytes(), &[0; 64]].concat()).await);
    }
}
