//! A network between proxy and exchange, whose connections end at any byte, and whose own address can
//! change while it is used.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// Passes so many bytes of each connection, then resets it.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// Bytes to the exchange, and bytes from it.
    limits: Arc<[AtomicU64; 2]>,
    /// Where connections to the exchange come from.
    source: Arc<Mutex<IpAddr>>,
    /// A change ends every connection.
    round: watch::Sender<u64>,
}

impl Relay {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Arc::new([AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX)]);
        let round = watch::Sender::new(0);
        let source = Arc::new(Mutex::new(IpAddr::from(Ipv4Addr::LOCALHOST)));
        let (bounds, rounds) = (Arc::clone(&limits), round.subscribe());
        let from = Arc::clone(&source);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let source = *from.lock().unwrap();
                let Ok(far) = connect(source, to).await else { continue };
                let [up, down] = [0, 1].map(|it| bounds[it].load(Ordering::SeqCst));
                let mut rounds = rounds.clone();
                rounds.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        () = pass(near, far, up, down) => {}
                        _ = rounds.changed() => {}
                    }
                });
            }
        });
        Self { address, limits, source, round }
    }

    /// From now on, connections end there; those that were end now.
    pub(crate) fn limit(&self, up: u64, down: u64) {
        self.limits[0].store(up, Ordering::SeqCst);
        self.limits[1].store(down, Ordering::SeqCst);
        self.round.send_modify(|it| *it += 1);
    }

    /// From now on the exchange sees another address, as behind a router that has got a new one: the
    /// connections that were are lost.
    pub(crate) fn leave_from(&self, source: &str) {
        *self.source.lock().unwrap() = source.parse().unwrap();
        self.round.send_modify(|it| *it += 1);
    }
}

async fn connect(source: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(to).await
}

async fn pass(near: TcpStream, far: TcpStream, up: u64, down: u64) {
    for stream in [&near, &far] {
        stream.set_nodelay(true).ok();
        stream.set_zero_linger().ok();
    }
    let (mut near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    tokio::select! {
        () = copy(&mut near_read, &mut far_write, up) => {}
        () = copy(&mut far_read, &mut near_write, down) => {}
    }
}

async fn copy(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    mut limit: u64,
) {
    let mut bytes = vec![0; 16_384];
    while limit > 0 {
        let Ok(n @ 1..) = from.read(&mut bytes).await else { return };
        let n = n.min(usize::try_from(limit).unwrap_or(n));
        if to.write_all(&bytes[..n]).await.is_err() {
            return;
        }
        limit -= n as u64;
    }
}
