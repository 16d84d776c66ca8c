//! One look at a broker: how far it goes, and that nobody there notices.

use penstock_uplink::mqtt::{Credentials, Link, Probed, Reach, probe};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::mosquitto::{Mosquitto, program};
use crate::rig::{Rig, settings, soon};
use crate::scripted::ScriptedBroker;

async fn probed(address: &str) -> Probed {
    soon("the probe to end", probe(&settings(address))).await.unwrap()
}

#[tokio::test]
async fn a_gateway_that_is_connected_stays_so() {
    let broker = Mosquitto::start().await;
    let rig = Rig::at(broker.port);
    rig.online().await;
    let Link::Online { since } = *rig.uplink.link().borrow() else { panic!("online") };
    let found = probed(&format!("mqtt://127.0.0.1:{}", broker.port)).await;
    assert_eq!(found, Probed { reach: Reach::Accepted, reason: None });
    assert_eq!(rig.outcome("{}").await, penstock_uplink::Outcome::Delivered);
    assert_eq!(*rig.uplink.link().borrow(), Link::Online { since }, "the same connection");
}

#[tokio::test]
async fn it_leaves_no_will_and_publishes_nothing() {
    let broker = ScriptedBroker::start().await;
    let address = format!("mqtt://127.0.0.1:{}", broker.port());
    let probing = tokio::spawn(async move { probed(&address).await });
    broker.looked_at().await;
    let (mut peer, connect) = broker.accept_with(0, &[]).await;
    assert_eq!(connect.body[7], 0b0000_0010, "a clean start and nothing else");
    assert_eq!(peer.packet().await.kind, 14, "a DISCONNECT is all that follows");
    assert_eq!(probing.await.unwrap().reach, Reach::Accepted);
}

#[tokio::test]
async fn a_wrong_password_is_an_answer_with_its_code() {
    let folder = TempDir::new().unwrap();
    let made = std::process::Command::new(program("mosquitto_passwd"))
        .args(["-c", "-b"])
        .arg(folder.path().join("passwords"))
        .args(["edge-01", "right"])
        .status()
        .unwrap();
    assert!(made.success());
    let broker =
        Mosquitto::in_folder(folder, "allow_anonymous false\npassword_file {folder}/passwords").await;
    let mut settings = settings(&format!("mqtt://127.0.0.1:{}", broker.port));
    for (password, reach, code) in
        [("wrong", Reach::Answered, Some("(0x87)")), ("right", Reach::Accepted, None)]
    {
        settings.credentials = Some(Credentials { username: "edge-01".into(), password: password.into() });
        let found = soon("the probe to end", probe(&settings)).await.unwrap();
        assert_eq!(found.reach, reach, "{found:?}");
        assert_eq!(found.reason.is_some_and(|reason| reason.contains("0x87")), code.is_some());
    }
}

#[tokio::test]
async fn nobody_there_and_somebody_else_there_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("mqtt://{}", listener.local_addr().unwrap());
    let other = tokio::spawn(async move {
        let mut callers = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            // Who only looked whether the port is open is gone, which is no matter.
            let page = "HTTP/1.1 400 Bad Request\r\n".to_owned() + &"Server: nginx\r\n".repeat(10);
            drop(stream.write_all(page.as_bytes()).await);
            callers.push(stream);
        }
    });
    let found = probed(&address).await;
    assert_eq!(found.reach, Reach::Connected, "{found:?}");
    other.abort();
    assert!(other.await.unwrap_err().is_cancelled());
    let found = probed(&address).await;
    assert_eq!(found.reach, Reach::Nowhere);
    assert!(found.reason.unwrap().contains("cannot connect to"));
}
