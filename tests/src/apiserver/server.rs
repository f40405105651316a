//! The server as a test holds it.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use jiff::SignedDuration;
use serde_json::Value;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::{
    Planned, Shared, State,
    create::merge,
    forward::Door,
    kubeconfig::{self, Context, Credentials},
    random_uid,
    requests::Seen,
    resource,
    serve::serve,
    status::Failure,
    tls::Authority,
};

/// A stand-in API server on loopback. Dropping it stops it.
#[derive(Debug)]
pub struct ApiServer {
    /// None only while it is dropped, which may be inside of another runtime.
    runtime: Option<Runtime>,
    handle: Handle,
    pub(super) shared: Arc<Shared>,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    openers: Mutex<Vec<Opener>>,
}

/// Opens a listener, again after each stop.
struct Opener(Box<dyn Fn() -> Result<TcpListener> + Send>);

impl fmt::Debug for Opener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Opener")
    }
}

impl ApiServer {
    /// Starts one that speaks HTTP.
    pub fn start() -> Result<Self> {
        Self::start_as(None)
    }

    /// Starts one that speaks HTTPS, with a certificate of its own authority for loopback and these names or addresses.
    pub fn start_tls(names: &[&str]) -> Result<Self> {
        Self::start_as(Some(names))
    }

    fn start_as(names: Option<&[&str]>) -> Result<Self> {
        let authority = names.map(|_| Authority::new()).transpose()?;
        let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        all.extend(
            names
                .unwrap_or_default()
                .iter()
                .map(|&name| name.to_owned()),
        );
        let tls = authority
            .as_ref()
            .map(|authority| authority.server(&all))
            .transpose()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("apiserver")
            .enable_all()
            .build()
            .context("start the stand-in API server")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen on loopback")?;
        let server = Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
            shared: Arc::new(Shared {
                state: Mutex::new(State::default()),
                paused: watch::Sender::new(false),
                bookmarks: watch::Sender::new(0),
                authority: authority.map(Mutex::new),
                flow: (random_uid(), random_uid()),
            }),
            address: listener.local_addr()?,
            tls,
            tasks: Mutex::new(Vec::new()),
            openers: Mutex::default(),
        };
        server.listen(listener)?;
        for namespace in ["default", "kube-system"] {
            server.add_namespace(namespace);
        }
        Ok(server)
    }

    /// Also answers on a listener that a test opens, perhaps in another network namespace; opened anew at each start.
    pub fn listen_by(
        &self,
        open: impl Fn() -> Result<TcpListener> + Send + 'static,
    ) -> Result<SocketAddr> {
        let listener = open()?;
        let address = listener.local_addr()?;
        self.listen(listener)?;
        self.openers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Opener(Box::new(open)));
        Ok(address)
    }

    fn listen(&self, listener: TcpListener) -> Result<()> {
        listener.set_nonblocking(true)?;
        let _inside = self.handle.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let tls = self.tls.clone().map(TlsAcceptor::from);
        let task = serve(Arc::clone(&self.shared), listener, tls);
        self.tasks().push(self.handle.spawn(task));
        Ok(())
    }

    /// Closes all listeners and connections. Objects stay.
    pub fn stop(&self) {
        for task in self.tasks().drain(..) {
            task.abort();
            // Its port is free when it has ended, not before.
            while !task.is_finished() {
                thread::yield_now();
            }
        }
        self.cut_forwards(None);
    }

    /// Listens again where it did.
    pub fn start_again(&self) -> Result<()> {
        // The library sets SO_REUSEADDR.
        let listener = TcpListener::bind(self.address);
        self.listen(listener.context("listen on the same port again")?)?;
        let openers = self.openers.lock().unwrap_or_else(PoisonError::into_inner);
        openers
            .iter()
            .try_for_each(|opener| self.listen((opener.0)()?))
    }

    /// Accepts and reads, but answers nothing; watches and tunnels stand still.
    pub fn pause(&self) {
        self.shared.paused.send_replace(true);
    }

    /// How many requests wait for it to go on.
    pub fn waiting(&self) -> usize {
        self.shared.paused.receiver_count()
    }

    /// Goes on.
    pub fn resume(&self) {
        self.shared.paused.send_replace(false);
    }

    /// Waits so long before each answer from now on.
    pub fn delay_answers(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Moves the server's clock, as its tokens and its `Date` headers show it.
    pub fn set_clock_ahead(&self, ahead: SignedDuration) {
        self.state().clock.ahead = ahead;
    }

    /// Forgets old versions: watches from before end with 410, and so do lists of them.
    pub fn forget_history(&self) {
        self.state().store.forget();
    }

    /// Sends all watchers a bookmark.
    pub fn send_bookmarks(&self) {
        self.shared.bookmarks.send_modify(|count| *count += 1);
    }

    /// Ends watches after so long, although they may last longer, as a server does that is about to stop.
    pub fn end_watches_after(&self, lasts: Duration) {
        self.state().watches_last = Some(lasts);
    }

    /// Lets the next `times` requests of this method whose path has `path` in it fail inside the server.
    pub fn fail_next(&self, times: usize, method: &str, path: &str, message: &str) {
        let failure = Failure::internal(message);
        self.plan(times, method, path, failure);
    }

    /// The same with 429, as an overloaded server says.
    pub fn throttle_next(&self, times: usize, method: &str, path: &str) {
        self.plan(times, method, path, Failure::too_many_requests());
    }

    fn plan(&self, left: usize, method: &str, path: &str, failure: Failure) {
        self.state().failures.push(Planned {
            method: method.to_owned(),
            path: path.to_owned(),
            left,
            failure,
        });
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, or `https://`.
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// Its URL for who gets to it at another address.
    pub fn url_at(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// The certificate of its authority, in PEM; none if it speaks HTTP.
    pub fn authority(&self) -> Option<String> {
        let authority = self.shared.authority.as_ref()?;
        let authority = authority.lock().unwrap_or_else(PoisonError::into_inner);
        Some(authority.pem())
    }

    /// All requests since the start, or since they were last taken.
    pub fn requests(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// The same, and forgets them.
    pub fn take_requests(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    /// A context for a kubeconfig that gets to this server.
    pub fn context(
        &self,
        name: &str,
        namespace: Option<&str>,
        credentials: Credentials,
    ) -> Context {
        Context {
            name: name.to_owned(),
            server: self.url(),
            authority: self.authority(),
            namespace: namespace.map(str::to_owned),
            credentials,
        }
    }

    /// Writes a kubeconfig with one context, whose user shows this token.
    pub fn write_kubeconfig(&self, path: &Path, token: &str) -> Result<PathBuf> {
        let credentials = Credentials::Token(token.to_owned());
        kubeconfig::write(path, &[self.context("standin", None, credentials)])?;
        Ok(path.to_owned())
    }

    /// Says where a port of a pod is: tunnels to it connect there. A port that no door leads to refuses.
    pub fn open_port(&self, namespace: &str, pod: &str, port: u16, door: Door) {
        let key = (namespace.to_owned(), pod.to_owned(), port);
        self.state().doors.insert(key, door);
    }

    /// The same, to an address that this process can connect to.
    pub fn forward_port(&self, namespace: &str, pod: &str, port: u16, to: SocketAddr) {
        let door =
            Door::new(move || std::net::TcpStream::connect_timeout(&to, Duration::from_secs(5)));
        self.open_port(namespace, pod, port, door);
    }

    /// Lets a port refuse.
    pub fn close_port(&self, namespace: &str, pod: &str, port: u16) {
        let key = (namespace.to_owned(), pod.to_owned(), port);
        self.state().doors.remove(&key);
    }

    /// Cuts all open tunnels, or those to one node. New ones can be made.
    pub fn cut_forwards(&self, node: Option<&str>) {
        self.state().forwards.retain(|(to, task)| {
            let cut = node.is_none_or(|node| node == to);
            if cut {
                task.abort();
            }
            !cut && !task.is_finished()
        });
    }

    /// How many tunnels are open.
    pub fn open_forwards(&self) -> usize {
        let state = self.state();
        let open = state.forwards.iter();
        open.filter(|(_, task)| !task.is_finished()).count()
    }

    /// Takes a node from the network: its tunnels are cut, and new ones fail as when nobody answers there.
    pub fn lose_node(&self, node: &str) {
        let error = "dial tcp 192.0.2.10:10250: connect: no route to host";
        let lost = (node.to_owned(), error.to_owned());
        self.state().nodes_gone.extend([lost]);
        self.cut_forwards(Some(node));
    }

    /// Brings it back.
    pub fn find_node(&self, node: &str) {
        self.state().nodes_gone.remove(node);
    }

    /// Adds or replaces an object of this kind, and returns it as stored.
    ///
    /// # Panics
    /// On a kind that the stand-in does not have: the test itself is wrong.
    pub fn put(&self, kind: &str, object: Value) -> Value {
        let resource =
            resource::of_kind(kind).unwrap_or_else(|| panic!("no resource of kind {kind}"));
        self.state().store.put(resource, object)
    }

    /// An object.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let resource = resource::of_kind(kind)?;
        self.state()
            .store
            .object(resource, namespace, name)
            .cloned()
    }

    /// All objects of a kind, in a namespace if it is not empty.
    pub fn objects(&self, kind: &str, namespace: &str) -> Vec<Value> {
        let Some(resource) = resource::of_kind(kind) else {
            return Vec::new();
        };
        let state = self.state();
        state.store.objects(resource, namespace).cloned().collect()
    }

    /// Removes an object at once.
    pub fn remove(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let resource = resource::of_kind(kind)?;
        self.state().store.remove(resource, namespace, name)
    }

    /// Merges `patch` into an object.
    pub fn patch(&self, kind: &str, namespace: &str, name: &str, patch: &Value) -> Result<Value> {
        let object = self.object(kind, namespace, name);
        let mut object = object.with_context(|| format!("no {kind} {namespace}/{name}"))?;
        merge(&mut object, patch);
        Ok(self.put(kind, object))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.resume();
        self.stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
