//! A serial line. It stays when it is opened anew, and what is under way reaches whoever has it open then.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::modbus::scripted;

/// What becomes of bytes on their way from the device: lumps, each after a while.
pub(super) type Fate = dyn FnMut(Vec<u8>) -> Vec<(Duration, Vec<u8>)> + Send;

/// How often it can be opened while one lump is under way.
const OPENINGS: usize = 64;

pub(super) struct Wire {
    openings: mpsc::Sender<DuplexStream>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl Wire {
    /// A line to a device, or to several that one script plays.
    pub(super) fn to(device: &scripted::Device) -> Arc<Self> {
        Self::through(|bytes| vec![(Duration::ZERO, bytes)], device)
    }

    /// A line on which what the device says has this `fate`.
    pub(super) fn through(
        fate: impl FnMut(Vec<u8>) -> Vec<(Duration, Vec<u8>)> + Send + 'static,
        device: &scripted::Device,
    ) -> Arc<Self> {
        let (near, far) = duplex(4096);
        let (openings, opened) = mpsc::channel(OPENINGS);
        let device = tokio::spawn(device.clone().rtu().serve(far));
        let carrier = tokio::spawn(carry(near, opened, Box::new(fate)));
        Arc::new(Self { openings, _tasks: [device, carrier].map(AbortOnDropHandle::new) })
    }

    /// Opens it; whoever had it open has it no more.
    pub(super) fn open(&self) -> DuplexStream {
        let (client, server) = duplex(4096);
        self.openings.try_send(server).expect("the line is there");
        client
    }
}

async fn carry(mut near: DuplexStream, mut opened: mpsc::Receiver<DuplexStream>, mut fate: Box<Fate>) {
    let mut client: Option<DuplexStream> = None;
    let (mut from_device, mut from_client) = ([0; 512], [0; 512]);
    loop {
        let client_says = async {
            match &mut client {
                Some(client) => client.read(&mut from_client).await.unwrap_or(0),
                None => std::future::pending().await,
            }
        };
        select! {
            Some(opening) = opened.recv() => client = Some(opening),
            read = near.read(&mut from_device) => {
                let Ok(bytes @ 1..) = read else { return };
                for (pause, lump) in fate(from_device[..bytes].to_vec()) {
                    sleep(pause).await;
                    while let Ok(opening) = opened.try_recv() {
                        client = Some(opening);
                    }
                    if let Some(listener) = &mut client && listener.write_all(&lump).await.is_err() {
                        client = None;
                    }
                }
            }
            bytes = client_says => match bytes {
                0 => client = None,
                bytes => near.write_all(&from_client[..bytes]).await.expect("the device is there"),
            },
        }
    }
}
