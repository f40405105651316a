//! The agent's doors without the rest of the agent: opens them as it is told on stdin, one command a line, and has a plain
//! relay behind each, which says on every connection that it is there. Ends, like an agent, when it is killed.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use chaos_daemon::{
    attach::{
        Heartbeat, Object,
        doors::{DoorId, Doors, Opened, UNDER_WAY, Upstream},
    },
    engine::{Door, Health, Protected, Spared, Target},
    netns::Netns,
};

/// Relays that were opened as `late` may begin to accept.
static AWAKE: AtomicBool = AtomicBool::new(false);

/// How long the relay waits between two looks whether somebody has come.
const PAUSE: Duration = Duration::from_millis(1);

fn main() -> Result<()> {
    let mut heartbeat = Object::load()?.heartbeat()?;
    let mut doors = Doors::new(heartbeat.words())?;
    thread::spawn(move || {
        loop {
            let _stale = heartbeat.beat();
            thread::sleep(Heartbeat::INTERVAL);
        }
    });
    let mut relays = BTreeMap::new();
    say("ready");
    for line in io::stdin().lock().lines() {
        match obey(&mut doors, &mut relays, &line?) {
            Ok(answer) => say(&answer),
            Err(error) => say(&format!("error {error:#}")),
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what the test reads")]
fn say(answer: &str) {
    println!("{answer}");
    let _test_gone = io::stdout().flush();
}

/// Relays by door; true when they are to end.
type Relays = BTreeMap<u64, Arc<AtomicBool>>;

fn obey(doors: &mut Doors, relays: &mut Relays, line: &str) -> Result<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let id = |at: usize| -> Result<DoorId> {
        let word = words.get(at).context("which door?")?;
        Ok(DoorId(word.parse()?))
    };
    Ok(match words.as_slice() {
        ["open", path, port, rest @ ..] => open(doors, relays, path, port.parse()?, rest)?,
        ["protect", rest @ ..] => {
            let list = rest.iter().map(|word| word.parse());
            doors.protect(&list.collect::<Result<Vec<Protected>, _>>()?)?;
            "ok".into()
        }
        ["arm", _, milliseconds] => {
            let left = Duration::from_millis(milliseconds.parse()?);
            doors.arm(id(1)?, Instant::now() + left)?;
            "ok".into()
        }
        ["close-existing", _, rest @ ..] => {
            doors.close_existing(id(1)?, rest == ["keep"])?.to_string()
        }
        ["wake"] => {
            AWAKE.store(true, Ordering::Relaxed);
            "ok".into()
        }
        ["shut", _] => {
            doors.shut(id(1)?);
            "ok".into()
        }
        ["close", _, shared] => {
            doors.close(id(1)?);
            if let Some(over) = relays.get(&shared.parse()?) {
                over.store(true, Ordering::Relaxed);
            }
            "ok".into()
        }
        ["taken", _] => {
            let counters = doors.counters(id(1)?);
            format!("{} {}", counters.taken, counters.spared)
        }
        ["health", _] => match doors.health(id(1)?) {
            Health::Fine => "fine".into(),
            Health::TargetGone | Health::LineBroken | Health::DoorBroken => "gone".into(),
        },
        _ => bail!("no such command: {line}"),
    })
}

fn open(
    doors: &mut Doors,
    relays: &mut Relays,
    path: &str,
    port: u16,
    rest: &[&str],
) -> Result<String> {
    let mut target = Target {
        name: "web".into(),
        netns: Netns::at(path)?,
        interface: "eth0".into(),
        ifindex: 2,
        cgroup: None,
        pod: None,
        spared: Vec::new(),
    };
    let mut door = Door::default();
    let mut is_late = false;
    for word in rest {
        match *word {
            "loopback" => door.include_loopback = true,
            "local" => door.local_source = true,
            "late" => is_late = true,
            peer => target.spared.push(Spared {
                peer: peer.parse()?,
                own_port: port,
            }),
        }
    }
    let Opened {
        id,
        shared,
        listener,
        upstream,
        keeps_source,
        note,
    } = doors.open(&target, port, &door, false)?;
    if let Some(listener) = listener {
        let over = Arc::new(AtomicBool::new(false));
        relays.insert(shared, Arc::clone(&over));
        // The thread stays there, and so do those that it starts.
        thread::spawn(move || {
            while is_late && !AWAKE.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
            }
            target.netns.enter(|_| relay(&listener, &upstream, &over))
        });
    }
    Ok(format!("{} {shared} {keeps_source} {note}", id.0))
}

/// Takes connections until it is told that it is over and no more come.
fn relay(listener: &TcpListener, upstream: &Arc<Upstream>, over: &AtomicBool) {
    let mut last = Instant::now();
    loop {
        match listener.accept() {
            Ok((client, peer)) => {
                last = Instant::now();
                let upstream = Arc::clone(upstream);
                thread::spawn(move || pass_on(&client, peer, &upstream));
            }
            Err(_) if over.load(Ordering::Relaxed) && last.elapsed() > UNDER_WAY => return,
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Says that the relay is there, and passes on what both sides say.
fn pass_on(client: &TcpStream, peer: SocketAddr, upstream: &Upstream) -> Result<()> {
    client.set_nonblocking(false)?;
    let server = client.local_addr()?;
    let application = upstream.socket(peer, server)?;
    let local = application
        .local_addr()?
        .as_socket()
        .context("no address")?;
    application.set_nonblocking(false)?;
    let server = SocketAddr::new(server.ip().to_canonical(), server.port());
    let connected = application.connect(&server.into());
    upstream.connected(local);
    connected?;
    let application = TcpStream::from(application);
    writeln!(&mut &*client, "relay")?;
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &application));
        copy(&application, client);
    });
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _gone = to.shutdown(Shutdown::Write);
}
